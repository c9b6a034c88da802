use std::time::Instant;

use api::session::{GatewayDown, Ingress, IngressRule, PathMatch, Routes};
use http::{Request, header::HOST};

use crate::{
    clients::{collect, get, http2, raw},
    fakes::{CART, PATIENCE, Running, cart, config, key, rule, service, start, text, until},
};

#[tokio::test]
async fn every_service_answers_at_its_own_host_whatever_its_case_or_port() {
    let running = cart(config(), &[1], |name, _| async { text(name) }).await;
    for host in [CART, "CART.shop.LOCALHOST:8080", "cart.shop.localhost."] {
        let seen = get(running.addr, host, "/").await;
        assert_eq!((seen.status, seen.body.as_str()), (200, "r0"), "{host}");
    }
}

#[tokio::test]
async fn an_unknown_host_is_answered_with_404_that_names_it() {
    let running = cart(config(), &[1], |name, _| async { text(name) }).await;
    let seen = get(running.addr, "nobody.example.com", "/").await;
    assert_eq!((seen.status, seen.reason()), (404, "UnknownHost"));
    assert!(seen.body.contains("nobody.example.com"), "{}", seen.body);
    assert!(seen.head.contains("content-type: application/json"));
}

#[tokio::test]
async fn while_nobody_has_said_which_services_there_are_no_host_is_called_unknown() {
    let running = start(config(), |name, _| async { text(name) });
    // It waits for a while, and is then told to come again.
    let seen = get(running.addr, CART, "/").await;
    assert_eq!((seen.status, seen.reason()), (503, "RoutesUnknown"), "{}", seen.body);
    running.route(Routes { services: vec![service("cart", &[])], ingresses: Vec::new() }).await;
    let known = async {
        loop {
            let seen = get(running.addr, "nobody.example.com", "/").await;
            if seen.reason() != "RoutesUnknown" {
                return seen;
            }
        }
    };
    let seen = tokio::time::timeout(PATIENCE, known).await.expect("it is known then");
    assert_eq!((seen.status, seen.reason()), (404, "UnknownHost"));
}

#[tokio::test]
async fn a_request_without_a_host_or_with_two_is_answered_with_400() {
    let running = cart(config(), &[1], |name, _| async { text(name) }).await;
    for request in [
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nhost: {CART}\r\nhost: {CART}\r\nconnection: close\r\n\r\n"),
    ] {
        assert_eq!(raw(running.addr, &request).await.status, 400, "{request}");
    }
}

#[tokio::test]
async fn a_rule_without_a_host_catches_hosts_that_nobody_names() {
    let running = start(config(), |name, _| async { text(name) });
    let services = vec![service("cart", &[80]), service("front", &[80])];
    let rules = vec![rule(None, "/", "front"), rule(None, "/gone", "gone")];
    running.route(Routes { services, ingresses: vec![Ingress { key: key("web"), rules }] }).await;
    running.endpoints("cart", &[("c".into(), 1)]).await;
    running.endpoints("front", &[("f".into(), 1)]).await;
    assert_eq!(get(running.addr, "localhost:8080", "/any").await.body, "f");
    assert_eq!(get(running.addr, CART, "/any").await.body, "c");
    assert_eq!(get(running.addr, "localhost", "/gone").await.reason(), "NoSuchService");
}

#[tokio::test]
async fn a_path_without_a_rule_of_its_host_falls_back_to_wildcards_rules_without_a_host_and_default_backends() {
    let running = start(config(), |name, _| async { text(name) });
    let names = ["own", "merged", "wild", "any", "default", "other"];
    let services = names.iter().map(|name| service(name, &[80])).collect();
    let otherwise =
        |host: Option<&str>, service| IngressRule { path: PathMatch::Otherwise, ..rule(host, "/", service) };
    let first = vec![
        rule(Some("shop.test"), "/own", "own"),
        rule(Some("*.test"), "/wild", "wild"),
        otherwise(Some("shop.test"), "default"),
        otherwise(Some("bare.test"), "default"),
        otherwise(None, "default"),
    ];
    let second =
        vec![rule(Some("shop.test"), "/merged", "merged"), rule(None, "/any", "any"), otherwise(None, "other")];
    let ingresses = vec![Ingress { key: key("a"), rules: first }, Ingress { key: key("b"), rules: second }];
    running.route(Routes { services, ingresses }).await;
    for name in names {
        running.endpoints(name, &[(name.into(), 1)]).await;
    }
    for (host, path, wanted) in [
        ("shop.test", "/own", "own"),
        ("shop.test", "/merged/a", "merged"),
        ("shop.test", "/wild", "wild"),
        ("shop.test", "/any", "any"),
        ("shop.test", "/", "default"),
        ("bare.test", "/", "default"),
        ("x.test", "/", "default"),
        ("nobody.example", "/any", "any"),
        ("nobody.example", "/", "default"),
        ("own.shop.localhost", "/any", "own"),
    ] {
        assert_eq!(get(running.addr, host, path).await.body, wanted, "{host}{path}");
    }
}

/// Waits until a request is answered so: with the body, or the reason of a refusal.
async fn answers(running: &Running, host: &str, path: &str, wanted: &str) {
    let answer = async || {
        let seen = get(running.addr, host, path).await;
        if seen.status == 200 { seen.body.clone() } else { seen.reason().to_owned() }
    };
    let begun = Instant::now();
    while answer().await != wanted {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {host}{path} is {wanted}: {}", answer().await);
    }
}

#[tokio::test]
async fn services_and_rules_that_come_and_go_one_by_one_are_followed() {
    let running = cart(config(), &[1], |name, _| async { text(name) }).await;
    let tell = async |message| running.session.tx.send(message).await.unwrap();
    let ingress = |name: &str, rules: Vec<IngressRule>| GatewayDown::Ingress(Ingress { key: key(name), rules });

    tell(GatewayDown::Service(service("front", &[80]))).await;
    running.no_endpoints("front", &[("f".into(), 1)], None).await;
    answers(&running, "front.shop.localhost", "/", "f").await;
    assert_eq!(get(running.addr, CART, "/").await.body, "r0", "the others stay");

    tell(ingress("one", vec![rule(Some("Shop.test"), "/", "front"), rule(Some(CART), "/front", "front")])).await;
    tell(ingress("two", vec![rule(Some("shop.test"), "/cart", "cart"), rule(Some("shop.test"), "/", "gone")])).await;
    answers(&running, "shop.test", "/cart", "r0").await;
    answers(&running, "shop.test", "/", "f").await;
    answers(&running, CART, "/front", "f").await;
    answers(&running, CART, "/", "r0").await;

    tell(ingress("one", Vec::new())).await;
    answers(&running, "shop.test", "/", "NoSuchService").await;
    answers(&running, CART, "/front", "r0").await;
    tell(ingress("two", vec![rule(Some("*.test"), "/cart", "cart")])).await;
    answers(&running, "shop.test", "/", "NoRuleForPath").await;
    tell(ingress("two", Vec::new())).await;
    answers(&running, "shop.test", "/cart", "UnknownHost").await;

    tell(GatewayDown::ServiceGone(key("front"))).await;
    answers(&running, "front.shop.localhost", "/", "UnknownHost").await;
    until("it is forgotten", || running.gateway.measurements().services.len() == 1).await;
}

#[tokio::test]
async fn the_guest_sees_a_whole_request_and_nothing_that_was_for_the_gateway() {
    let running = cart(config(), &[1], |_, request| async move {
        let headers = request.headers().iter().map(|(name, value)| format!("{name}={}\n", value.to_str().unwrap()));
        text(format!("{}\n{}", request.uri(), headers.collect::<String>()))
    })
    .await;
    let request = format!(
        "GET /a?b=c HTTP/1.1\r\nhost: {CART}\r\nconnection: close, x-mine\r\nx-mine: 1\r\nte: trailers\r\n\
         x-sampan-hops: 3\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\nx-forwarded-proto: https\r\n\
         upgrade: h2c\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n"
    );
    let seen = raw(running.addr, request).await;
    let mut lines: Vec<_> = seen.body.lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "http://cart.shop.localhost/a?b=c",
            "host=cart.shop.localhost",
            "te=trailers",
            "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "x-forwarded-for=127.0.0.1",
            "x-forwarded-host=cart.shop.localhost",
            "x-forwarded-proto=http",
        ]
    );
    let seen = get(running.addr, CART, "/").await;
    let made = seen.body.lines().find_map(|line| line.strip_prefix("traceparent=")).unwrap();
    assert_eq!((made.len(), &made[..3]), (55, "00-"), "{made}");
}

#[tokio::test]
async fn http2_without_tls_is_served_many_requests_on_one_connection() {
    let running = cart(config(), &[100], |_, request| async move {
        let host = request.headers()[HOST].to_str().unwrap().to_owned();
        text(format!("{} {host}", request.uri()))
    })
    .await;
    let sender = http2(running.addr).await;
    let requests = (0..50).map(|n| {
        let mut sender = sender.clone();
        async move {
            let uri = format!("http://{CART}/{n}");
            let request = Request::get(&uri).body(api::empty_body()).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(collect(response.into_body()).await, format!("{uri} {CART}"));
        }
    });
    futures::future::join_all(requests).await;
}

#[tokio::test]
async fn a_websocket_is_answered_with_501_and_other_offers_are_ignored() {
    let running = cart(config(), &[1], |_, request| async move {
        let asks = request.headers().contains_key("upgrade") || request.headers().contains_key("connection");
        text(if asks { "it was told" } else { "it was not" })
    })
    .await;
    let ask =
        async |fields: &str| raw(running.addr, format!("GET / HTTP/1.1\r\nhost: {CART}\r\n{fields}\r\n\r\n")).await;
    for fields in [
        "connection: upgrade, close\r\nupgrade: websocket",
        "connection: close\r\nconnection: keep-alive, Upgrade\r\nupgrade: h2c, WebSocket",
        "connection: close, upgrade\r\nupgrade: h2c\r\nupgrade: websocket",
    ] {
        let seen = ask(fields).await;
        assert_eq!((seen.status, seen.reason()), (501, "UpgradeUnsupported"), "{fields}");
    }
    let old = format!("GET / HTTP/1.0\r\nhost: {CART}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    assert_eq!(raw(running.addr, old).await.body, "it was not");
    for fields in [
        "connection: upgrade, close\r\nupgrade: TLS/1.2",
        "connection: close, upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk",
        "connection: close, upgrade\r\nupgrade: h2c, IRC/6.9, RTA/x11",
        // Not said to this hop (RFC 9110, 7.8).
        "connection: close\r\nupgrade: websocket",
    ] {
        let seen = ask(fields).await;
        assert_eq!((seen.status, &*seen.body), (200, "it was not"), "{fields}");
    }
}

#[tokio::test]
async fn targets_and_hosts_that_name_nothing_are_answered_with_400() {
    let running = cart(config(), &[9], |_, request| async move { text(request.uri().to_string()) }).await;
    for (line, host) in [
        ("GET cart.shop.localhost HTTP/1.1", CART),
        ("GET cart.shop.localhost:80 HTTP/1.1", CART),
        ("GET * HTTP/1.1", CART),
        ("GET / HTTP/1.1", "cart.shop.localhost:http"),
        ("GET / HTTP/1.1", "cart.shop.localhost:99999"),
        ("GET / HTTP/1.1", "cart.shop.localhost:-1"),
        ("GET / HTTP/1.1", "user@cart.shop.localhost"),
        ("GET / HTTP/1.1", "[::1"),
        ("GET http://cart.shop.localhost:x/ HTTP/1.1", CART),
    ] {
        let seen = raw(running.addr, format!("{line}\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
        assert_eq!((seen.status, seen.reason()), (400, "BadRequest"), "{line}, {host}: {seen:?}");
    }
    for (line, host, uri) in [
        ("GET http://cart.shop.localhost/a HTTP/1.1", "other", "http://cart.shop.localhost/a"),
        ("OPTIONS * HTTP/1.1", CART, "http://cart.shop.localhost/"),
        ("GET /a HTTP/1.1", "CART.shop.localhost.:8080", "http://CART.shop.localhost.:8080/a"),
        ("GET /a HTTP/1.1", "cart.shop.localhost:", "http://cart.shop.localhost:/a"),
    ] {
        let seen = raw(running.addr, format!("{line}\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
        assert_eq!((seen.status, &*seen.body), (200, uri), "{line}, {host}");
    }
}

/// An address of this machine that is not loopback, if it has one.
fn own_address() -> Option<std::net::IpAddr> {
    // Nothing is sent: the system says which address it would send from.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

#[tokio::test]
async fn names_of_services_answer_where_a_connection_came_to_loopback_and_elsewhere_rules_alone() {
    let Some(own) = own_address() else { return eprintln!("this machine has loopback alone: there is nothing to see") };
    let rules = || vec![rule(Some("shop.test"), "/", "front"), rule(Some("lost.test"), "/", "gone")];
    for (listens, publish, asked, answers) in [
        ("0.0.0.0:0".to_owned(), false, "127.0.0.1", true),
        ("0.0.0.0:0".to_owned(), false, &*own.to_string(), false),
        ("[::]:0".to_owned(), false, "127.0.0.1", true),
        ("[::]:0".to_owned(), false, "[::1]", true),
        ("[::]:0".to_owned(), false, &own.to_string(), false),
        (format!("{own}:0"), false, &own.to_string(), false),
        (format!("{own}:0"), true, &own.to_string(), true),
        ("0.0.0.0:0".to_owned(), true, &own.to_string(), true),
        ("127.0.0.1:0".to_owned(), false, "127.0.0.1", true),
    ] {
        let config = gateway::GatewayConfig { http: listens.parse().unwrap(), publish_services: publish, ..config() };
        let running = start(config, |name, _| async { text(name) });
        let services = vec![service("cart", &[80]), service("front", &[80])];
        let ingresses = vec![Ingress { key: key("web"), rules: rules() }];
        running.route(Routes { services, ingresses }).await;
        running.endpoints("cart", &[("c".into(), 1)]).await;
        running.endpoints("front", &[("f".into(), 1)]).await;
        let addr = format!("{asked}:{}", running.addr.port()).parse().unwrap();
        let case = format!("{listens} {publish} {asked}");
        assert_eq!(get(addr, "shop.test", "/").await.body, "f", "{case}");
        let named = get(addr, CART, "/").await;
        let lost = get(addr, "lost.test", "/").await;
        assert_eq!(lost.body.contains("shop/gone"), answers, "{case}: {lost:?}");
        if answers {
            assert_eq!(named.body, "c", "{case}");
            continue;
        }
        assert_eq!((named.status, named.reason()), (404, "UnknownHost"), "{case}");
        assert!(
            named.body.contains("Ingress") && !named.body.contains("--"),
            "strangers are told no flag: {case}: {}",
            named.body
        );
        let nobody = get(addr, "nobody.shop.localhost", "/").await;
        let but_its_name = |body: &str| {
            let mut answer: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(answer["error"]["request"].take().as_str().unwrap().len(), 32);
            answer
        };
        let same = but_its_name(&nobody.body.replace("nobody", "cart"));
        assert_eq!(same, but_its_name(&named.body), "nothing tells which services there are");
    }
}
