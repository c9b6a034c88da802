use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::fleet::{Fleet, PATIENCE, ask, get, request};

#[tokio::test]
async fn a_host_that_is_not_granted_is_denied_and_the_log_says_which_annotation_grants_it() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    for host in ["example.com", "products", "127.0.0.1"] {
        let (status, why) = ask(&probe, get(&format!("/fetch?url=http://{host}/"))).await.unwrap();
        assert_eq!(status, 502, "{host}");
        assert!(why.contains("Denied"), "{why}");
        let line = fleet.wait_for_line(&format!("`{host}`")).await;
        assert!(line.text.contains("sampan.dev/outbound"), "{}", line.text);
    }
}

#[tokio::test]
async fn a_granted_service_is_called_inside_and_the_trace_goes_on() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.grants.outbound = vec!["products".into()]).await;
    let mut asked = get("/fetch?url=http://products/list");
    asked.headers_mut().insert("traceparent", "00-1-2-01".parse().unwrap());
    assert_eq!(ask(&probe, asked).await.unwrap(), (200, "shop/products /list 00-1-2-01".into()));
}

#[tokio::test]
async fn a_service_is_granted_by_any_of_its_names_and_called_by_any() {
    const NAMES: [&str; 4] = ["products", "products.shop", "products.shop.svc", "products.shop.svc.cluster.local"];
    let mut fleet = Fleet::new().await;
    for granted in NAMES.into_iter().chain(["products.shop:80"]) {
        let mut spec = fleet.spec(&format!("probe-{granted}"), "probe");
        spec.grants.outbound = vec![granted.into()];
        let probe = fleet.ready(spec).await;
        for called in NAMES {
            let answer = ask(&probe, get(&format!("/fetch?url=http://{called}/"))).await.unwrap();
            assert_eq!(answer, (200, "shop/products / no trace".into()), "{granted} grants {called}");
        }
        // The same name in another namespace is another Service, and another port another grant.
        for other in ["products.other", "products.other.svc"] {
            let (status, _) = ask(&probe, get(&format!("/fetch?url=http://{other}/"))).await.unwrap();
            assert_eq!(status, 502, "{granted} does not grant {other}");
        }
        let (status, _) = ask(&probe, get("/fetch?url=http://products:81/")).await.unwrap();
        assert_eq!(status == 200, !granted.contains(':'), "{granted} and port 81");
    }
}

#[tokio::test]
async fn an_address_is_reached_only_if_it_is_granted_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\noutside").await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.grants.outbound = vec![format!("127.0.0.1:{port}")]).await;
    let path = format!("/fetch?url=http://127.0.0.1:{port}/x");
    assert_eq!(ask(&probe, get(&path)).await.unwrap(), (200, "outside".into()));
    let request = served.await.unwrap().to_lowercase();
    assert!(
        request.starts_with("get /x http/1.1") && request.contains(&format!("host: 127.0.0.1:{port}")),
        "{request}"
    );
}

#[tokio::test]
async fn a_granted_name_that_leads_to_this_machine_is_prohibited() {
    let Ok(name) = std::fs::read_to_string("/proc/sys/kernel/hostname") else { return };
    let name = name.trim().to_owned();
    let resolved = tokio::net::lookup_host((name.as_str(), 80)).await.map(|addresses| addresses.collect::<Vec<_>>());
    // Where the machine's own name leads nowhere, there is nothing to see.
    let Ok([first, ..]) = resolved.as_deref() else { return };
    assert!(!first.ip().is_unspecified());
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.grants.outbound = vec![name.clone()]).await;
    let (status, why) = ask(&probe, get(&format!("/fetch?url=http://{name}/"))).await.unwrap();
    assert_eq!(status, 502);
    assert!(why.contains("Prohibited"), "{why}");
    fleet.wait_for_line("no public address").await;
}

/// What a host outside is sent by a guest that asks for `path` of the probe, up to `end`.
async fn sent_outside(path: &str, end: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let end = end.to_owned();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut request, mut piece) = (Vec::new(), vec![0; 4096]);
        while !request.ends_with(end.as_bytes()) {
            let length = stream.read(&mut piece).await.unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&piece[..length]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\noutside").await.unwrap();
        String::from_utf8_lossy(&request).to_lowercase()
    });
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.grants.outbound = vec![format!("127.0.0.1:{port}")]).await;
    let path = format!("/fetch?url=http://127.0.0.1:{port}/x{path}");
    assert_eq!(ask(&probe, get(&path)).await.unwrap(), (200, "outside".into()));
    served.await.unwrap()
}

#[tokio::test]
async fn a_body_of_a_get_reaches_a_host_outside_and_where_there_is_none_nothing_is_said_of_one() {
    let request = sent_outside("&body=abc", "0\r\n\r\n").await;
    assert!(request.starts_with("get /x http/1.1") && request.contains("transfer-encoding: chunked"), "{request}");
    assert!(request.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{request}");
    let request = sent_outside("", "\r\n\r\n").await;
    assert!(!request.contains("transfer-encoding") && !request.contains("content-length"), "{request}");
    let request = sent_outside("&body=", "\r\n\r\n").await;
    assert!(!request.contains("transfer-encoding"), "{request}");
}

#[tokio::test]
async fn a_guest_that_sends_all_before_it_reads_gets_its_answer_from_a_service_that_answers_as_it_reads() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.grants.outbound = vec!["products".into()]).await;
    for kib in [64, 128, 900] {
        let sent = "x".repeat(kib << 10);
        let asked = request("POST", "/fetch?url=http://products/echo", api::full_body(sent.clone()));
        let (status, body) = ask(&probe, asked).await.unwrap();
        assert!((status, body.len()) == (200, sent.len()), "{kib} KiB: {status}, {}", body.len());
    }
}

#[tokio::test]
async fn a_guest_that_asks_many_hosts_has_few_connections_kept() {
    let open = Arc::new(AtomicUsize::new(0));
    let mut ports = Vec::new();
    for _ in 0..200 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        ports.push(listener.local_addr().unwrap().port());
        let open = open.clone();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            open.fetch_add(1, Ordering::SeqCst);
            let mut request = vec![0; 4096];
            while stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\noutside").await.unwrap();
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.grants.outbound = vec!["127.0.0.1".into()]).await;
    for port in &ports {
        let answer = ask(&probe, get(&format!("/fetch?url=http://127.0.0.1:{port}/"))).await.unwrap();
        assert_eq!(answer, (200, "outside".into()));
    }
    let few = async {
        while open.load(Ordering::SeqCst) > 64 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, few).await.unwrap();
}

#[tokio::test]
async fn a_host_that_answers_with_an_endless_head_is_not_read_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
        let mut sent = 0_usize;
        while stream.write_all(&[b'a'; 1024]).await.is_ok() {
            sent += 1024;
        }
        sent
    });
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.grants.outbound = vec!["127.0.0.1".into()]).await;
    let (status, why) = ask(&probe, get(&format!("/fetch?url=http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(status, 502, "{why}");
    sent.await.unwrap();
}
