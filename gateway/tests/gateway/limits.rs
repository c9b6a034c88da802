use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    clients::{collect, connect, expect, http2, raw, to_end},
    fakes::{Answer, CART, PATIENCE, cart, config, text, until},
};

async fn reads_it(request: Request<api::Body>) -> Answer {
    match request.into_body().collect().await {
        Ok(body) => text(body.to_bytes().len().to_string()),
        Err(error) => text(error.to_string()),
    }
}

#[tokio::test]
async fn a_head_over_the_limit_is_answered_with_431() {
    let mut config = config();
    config.max_header_bytes = 8 << 10;
    let running = cart(config, &[1], |name, _| async { text(name) }).await;
    let long = "x".repeat(9 << 10);
    let seen = raw(running.addr, format!("GET / HTTP/1.1\r\nhost: {CART}\r\nx-long: {long}\r\n\r\n")).await;
    assert_eq!(seen.status, 431);
    let request = Request::get(format!("http://{CART}/")).header("x-long", &long).body(api::empty_body()).unwrap();
    let response = http2(running.addr).await.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_answered_with_413_before_it_is_sent() {
    let mut config = config();
    config.max_body_bytes = 10;
    let running = cart(config, &[1], |_, request| reads_it(request)).await;
    let head = |n| format!("POST / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\ncontent-length: {n}\r\n\r\n");
    let seen = raw(running.addr, head(11)).await;
    assert_eq!((seen.status, seen.reason()), (413, "RequestBodyTooLarge"));
    assert_eq!(raw(running.addr, head(10) + "0123456789").await.body, "10");
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_answered_with_413() {
    let mut config = config();
    config.max_body_bytes = 10;
    let running = cart(config, &[1], |_, request| reads_it(request)).await;
    let head = format!("POST / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    let seen = raw(running.addr, format!("{head}6\r\n012345\r\n5\r\n67890\r\n0\r\n\r\n")).await;
    assert_eq!((seen.status, seen.reason()), (413, "RequestBodyTooLarge"));
    assert_eq!(raw(running.addr, format!("{head}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")).await.body, "10");
    until("the replica is free", || running.measured("cart").in_flight == 0).await;
}

#[tokio::test]
async fn a_client_that_sends_its_head_byte_by_byte_is_disconnected() {
    let mut config = config();
    config.header_read_timeout = Duration::from_millis(100);
    let running = cart(config, &[1], |name, _| async { text(name) }).await;
    let (mut reads, mut writes) = connect(running.addr).await.into_split();
    let drip = tokio::spawn(async move {
        for byte in format!("GET / HTTP/1.1\r\nhost: {CART}\r\nx-long: {}", "x".repeat(10_000)).bytes() {
            if writes.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut nothing = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, reads.read_to_end(&mut nothing)).await.expect("it is disconnected");
    assert!(nothing.is_empty());
    drip.abort();
    until("the connection is gone", || running.gateway.measurements().connections == 0).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_disconnected() {
    let mut config = config();
    config.header_read_timeout = Duration::from_millis(50);
    let running = cart(config, &[1], |name, _| async { text(name) }).await;
    assert_eq!(to_end(&mut connect(running.addr).await).await.head, "");
}

#[tokio::test]
async fn a_connection_that_idles_longer_than_a_head_may_take_is_kept_until_its_own_limit() {
    let mut config = config();
    config.header_read_timeout = Duration::from_millis(40);
    config.keep_alive_idle = Duration::from_millis(400);
    let running = cart(config, &[1], |name, _| async { text(name) }).await;
    let mut stream = connect(running.addr).await;
    let request = format!("GET / HTTP/1.1\r\nhost: {CART}\r\n\r\n");
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).await.unwrap();
        expect(&mut stream, "r0").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(to_end(&mut stream).await.head, "");
}

#[tokio::test]
async fn a_body_that_stalls_or_trickles_is_answered_with_408() {
    let mut config = config();
    config.body_idle_timeout = Duration::from_millis(100);
    config.request_body_timeout = Duration::from_millis(300);
    let running = cart(config, &[1], |_, request| reads_it(request)).await;
    let head = format!("POST / HTTP/1.1\r\nhost: {CART}\r\ncontent-length: 10000\r\n\r\n");
    let seen = raw(running.addr, format!("{head}some")).await;
    assert_eq!((seen.status, seen.reason()), (408, "RequestBodyStalled"));

    let (reads, mut writes) = connect(running.addr).await.into_split();
    writes.write_all(head.as_bytes()).await.unwrap();
    let drip = tokio::spawn(async move {
        while writes.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        writes
    });
    let mut reads = reads;
    let mut answer = [0; 12];
    tokio::time::timeout(PATIENCE, reads.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    drip.abort();
    until("the replica is free", || running.measured("cart").in_flight == 0).await;
}

#[tokio::test]
async fn who_is_too_slow_with_an_upload_is_told_so_though_it_sends_on_before_it_reads() {
    let mut config = config();
    config.request_body_timeout = Duration::from_millis(200);
    let running = cart(config, &[1], |_, request| reads_it(request)).await;
    let mut stream = connect(running.addr).await;
    let (piece, pieces) = (vec![b'x'; 32 << 10], 40);
    let length = piece.len() * pieces;
    let head = format!("POST / HTTP/1.1\r\nhost: {CART}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..pieces {
        stream.write_all(&piece).await.expect("it is not reset");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut bytes = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap().expect("a regular end");
    assert!(bytes.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&bytes));
    until("the replica is free", || running.measured("cart").in_flight == 0).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_its_replica_no_longer_than_the_limit() {
    let mut config = config();
    config.write_stall_timeout = Duration::from_millis(100);
    let running = cart(config, &[2], |_, _| async { text("x".repeat(64 << 20)) }).await;
    let mut lazy = connect(running.addr).await;
    lazy.write_all(format!("GET / HTTP/1.1\r\nhost: {CART}\r\n\r\n").as_bytes()).await.unwrap();
    let request = Request::get(format!("http://{CART}/")).body(api::empty_body()).unwrap();
    let _lazy_too = http2(running.addr).await.send_request(request).await.unwrap();
    until("both are cut off", || {
        let now = running.measured("cart");
        (now.arrivals, now.in_flight) == (2, 0)
    })
    .await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away_with_503() {
    let mut config = config();
    config.max_connections = 2;
    let running = cart(config, &[1], |name, _| async { text(name) }).await;
    let kept = [connect(running.addr).await, connect(running.addr).await];
    until("both are open", || running.gateway.measurements().connections == 2).await;
    let seen = to_end(&mut connect(running.addr).await).await;
    assert_eq!((seen.status, seen.reason()), (503, "TooManyConnections"));
    drop(kept);
    until("both are gone", || running.gateway.measurements().connections == 0).await;
    let request = format!("GET / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\n\r\n");
    assert_eq!(collect(http_body_util::Full::new(raw(running.addr, request).await.body.into())).await, "r0");
}

#[tokio::test]
async fn an_address_has_no_more_connections_than_it_may_and_others_are_served() {
    let mut config = config();
    config.max_connections_per_source = Some(2);
    let running = cart(config, &[9], |name, _| async { text(name) }).await;
    let held = [connect(running.addr).await, connect(running.addr).await];
    until("both are counted", || running.gateway.measurements().connections == 2).await;
    let head = format!("GET / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\n\r\n");
    let seen = raw(running.addr, head.clone()).await;
    assert_eq!((seen.status, seen.reason()), (503, "TooManyFromSource"));
    let mut other = connect_from("127.0.0.2", running.addr).await;
    other.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(held);
    until("they are gone", || running.gateway.measurements().connections == 0).await;
    assert_eq!(raw(running.addr, head).await.status, 200);
}

async fn connect_from(source: &str, to: std::net::SocketAddr) -> tokio::net::TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn no_connection_is_accepted_once_the_descriptors_that_it_may_have_are_taken() {
    let mut config = config();
    // All numbers are those of what goes on.
    config.descriptors = 0;
    let running = cart(config, &[9], |name, _| async { text(name) }).await;
    let mut refused = connect(running.addr).await;
    let mut answer = String::new();
    // It is told before it says anything, and its connection is not held for that.
    refused.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("TooFewDescriptors"), "{answer}");
    let refusals = running.gateway.measurements().refusals;
    let counted = refusals.iter().find(|(reason, _)| reason.as_str() == "TooFewDescriptors").map(|(_, count)| *count);
    assert_eq!(counted, Some(1));
}

#[tokio::test]
async fn while_memory_is_short_requests_are_refused_and_connections_end_with_their_answers() {
    let mut config = config();
    // This process has more than one byte.
    config.memory_limit = Some(1);
    let thresholds = ["stop-accepting-connections=off"].map(|text| text.parse().unwrap());
    config.overload = config.overload.with(&thresholds);
    let running = cart(config, &[9], |name, _| async { text(name) }).await;
    until("it is known", || running.gateway.measurements().memory.actions.iter().any(|(_, taken)| *taken)).await;
    // Without `connection: close`: it ends by the gateway's will.
    let seen = raw(running.addr, format!("GET / HTTP/1.1\r\nhost: {CART}\r\n\r\n")).await;
    assert_eq!((seen.status, seen.reason()), (503, "Overloaded"));
}

#[tokio::test]
async fn connections_stay_with_the_system_while_memory_is_short() {
    for (limit, usage, cached) in [
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ] {
        let root = std::env::temp_dir().join(format!("sampan-short-{}", std::process::id()));
        let (own, groups) = (root.join("proc/self"), root.join("sys/fs/cgroup"));
        let is_first = limit.starts_with("memory/");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::create_dir_all(groups.join("memory")).unwrap();
        std::fs::write(own.join("cgroup"), if is_first { "4:memory:/\n" } else { "0::/\n" }).unwrap();
        std::fs::write(groups.join(limit), "1000\n").unwrap();
        std::fs::write(
            groups.join(if is_first { "memory/memory.stat" } else { "memory.stat" }),
            format!("{cached} 100\n"),
        )
        .unwrap();
        let used = |bytes: u64| std::fs::write(groups.join(usage), format!("{bytes}\n")).unwrap();
        used(100);
        let mut config = config();
        config.system_root.clone_from(&root);
        let running = cart(config, &[1], |name, _| async { text(name) }).await;
        let short = |is: bool| {
            let memory = running.gateway.measurements().memory;
            memory.actions.contains(&(gateway::OverloadAction::StopAcceptingConnections, is))
        };
        let request = format!("GET / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\n\r\n");
        assert_eq!(raw(running.addr, request.clone()).await.status, 200);
        used(1100);
        until("memory is short", || short(true)).await;
        let mut waiting = connect(running.addr).await;
        waiting.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let early = tokio::time::timeout(Duration::from_millis(500), waiting.read_to_end(&mut answer)).await;
        assert!(early.is_err() && running.gateway.measurements().connections == 0, "it is not accepted");
        used(100);
        tokio::time::timeout(PATIENCE, waiting.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        assert!(short(false));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
