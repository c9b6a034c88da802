//! Bytes that two programs could read differently: refused, on the main address and on ports of Services, before a guest sees them.

use std::net::SocketAddr;

use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use crate::{
    balancers::balanced_port,
    clients::{connect, expect, raw, to_end},
    fakes::{CART, Running, cart, config, text, until},
};

/// A guest that says how it was asked, and the addresses at which it can be.
async fn listening() -> (Running, [SocketAddr; 2]) {
    let mut running = cart(config(), &[9], |_, request| async move {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_or_else(|error| error.to_string(), |body| format!("{:?}", body.to_bytes()));
        text(format!("{} {} {body};", head.method, head.uri))
    })
    .await;
    let balanced = balanced_port(&mut running, "cart").await;
    let both = [running.addr, balanced];
    (running, both)
}

#[tokio::test]
async fn a_line_feed_alone_is_refused_and_the_answer_says_why() {
    let (running, addresses) = listening().await;
    for addr in addresses {
        for head in [
            "GET / HTTP/1.1\nhost: cart.shop.localhost\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: cart.shop.localhost\n\r\n",
            "GET / HTTP/1.1\r\nhost: cart.shop.localhost\r\n\n",
            "GET / HTTP/1.1\nhost: cart.shop.localhost\n\n",
            "\nGET / HTTP/1.1\r\nhost: cart.shop.localhost\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: cart.shop.localhost\r\ncontent-length: 3\n\r\nabc",
        ] {
            let seen = raw(addr, head).await;
            assert_eq!((seen.status, seen.reason()), (400, "BadRequest"), "{head:?}");
            assert!(seen.body.contains("line feed alone"), "{seen:?}");
            assert!(seen.head.contains("connection: close"), "{seen:?}");
        }
    }
    let measured = running.gateway.measurements();
    assert_eq!(running.measured("cart").arrivals, 0, "no guest was asked");
    let refused = measured.refusals.iter().find(|(reason, _)| reason.as_str() == "BadRequest").unwrap().1;
    assert_eq!(refused, 12, "and each is counted");
}

#[tokio::test]
async fn it_is_seen_wherever_a_read_ends_and_behind_other_requests() {
    let (running, addresses) = listening().await;
    let good = format!("POST /a HTTP/1.1\r\nhost: {CART}\r\ncontent-length: 4\r\n\r\n\n\n\n\n");
    let bad = format!("GET /b HTTP/1.1\r\nhost: {CART}\r\nx: 1\n\r\n");
    for addr in addresses {
        let seen = raw(addr, format!("{good}{good}{bad}{good}")).await;
        assert_eq!(seen.body.matches("POST http://cart.shop.localhost/a").count(), 2, "{seen:?}");
        assert!(seen.body.contains("HTTP/1.1 400") && seen.body.contains("line feed alone"), "{seen:?}");
    }
    until("all are gone", || running.gateway.measurements().connections == 0).await;
    // CR at the end of one read, LF at the start of the next: good; LF at the start of a read, without: bad.
    for (first, second, status) in [
        (format!("GET /c HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r"), "\n\r\n", 200),
        (format!("GET /c HTTP/1.1\r\nhost: {CART}\r\nconnection: close"), "\n\r\n", 400),
        (format!("GET /c HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\n\r"), "\n", 200),
        (format!("GET /c HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\n"), "\n", 400),
    ] {
        let mut stream = connect(addresses[0]).await;
        stream.set_nodelay(true).unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        until("it is connected", || running.gateway.measurements().connections == 1).await;
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        stream.write_all(second.as_bytes()).await.unwrap();
        assert_eq!(to_end(&mut stream).await.status, status, "{first:?} and {second:?}");
        until("it is gone", || running.gateway.measurements().connections == 0).await;
    }
}

#[tokio::test]
async fn framing_that_can_be_read_in_two_ways_is_refused() {
    let (running, addresses) = listening().await;
    for addr in addresses {
        for (fields, status) in [
            ("content-length: 3\r\ntransfer-encoding: chunked", 400),
            ("transfer-encoding: chunked\r\ncontent-length: 3", 400),
            ("content-length: 3\r\ncontent-length: 4", 400),
            ("content-length: 3, 3", 400),
            ("content-length: +5", 400),
            ("content-length: 0x5", 400),
            ("content-length: 5 5", 400),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", 400),
            ("transfer-encoding: chunked, chunked", 400),
            ("transfer-encoding: xchunked", 400),
            ("transfer-encoding: chunked\r\ntransfer-encoding: identity", 400),
            ("transfer-encoding: gzip, chunked", 501),
            ("transfer-encoding : chunked", 400),
            ("content-length : 3", 400),
            (" content-length: 3", 400),
            ("x: a\r\n b", 400),
            ("x: a\0b", 400),
            ("x: a\rb", 400),
            ("x\u{b}: a", 400),
            ("host: other.example", 400),
        ] {
            let close = "connection: close";
            let seen = raw(addr, format!("POST / HTTP/1.1\r\n{close}\r\nhost: {CART}\r\n{fields}\r\n\r\nabc")).await;
            assert_eq!(seen.status, status, "{fields:?}: {seen:?}");
        }
        let old = format!("POST / HTTP/1.0\r\nhost: {CART}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
        assert_eq!(raw(addr, old).await.status, 400);
    }
    assert_eq!(running.measured("cart").arrivals, 0);
}

#[tokio::test]
async fn chunked_framing_is_read_strictly_and_the_request_is_refused() {
    let (_running, addresses) = listening().await;
    let head = format!("POST / HTTP/1.1\r\nhost: {CART}\r\ntransfer-encoding: chunked\r\n\r\n");
    for addr in addresses {
        for body in [
            "3\nabc\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3;a\nb\r\nabc\r\n0\r\n\r\n",
            "3\r\nabc\r\n0\r\nx: 1\n\r\n",
            "-3\r\n",
        ] {
            let seen = raw(addr, format!("{head}{body}")).await;
            assert!(seen.status == 200 && !seen.body.contains("abc\""), "the guest is told: {body:?}: {seen:?}");
        }
        let seen = raw(addr, format!("{head}3\nabc\r\n0\r\n\r\n")).await;
        assert!(seen.body.contains("line feed alone"), "{seen:?}");
        let good = format!("{head}3;a=\"b\"\r\na\nb\r\n0\r\nx: 1\r\n\r\n");
        let mut stream = connect(addr).await;
        for _ in 0..2 {
            stream.write_all(good.as_bytes()).await.unwrap();
            expect(&mut stream, r#"b"a\nb";"#).await;
        }
    }
}

#[tokio::test]
async fn an_absolute_target_names_the_host_whatever_the_field_says() {
    let (_running, addresses) = listening().await;
    for addr in addresses {
        let request = format!("GET http://{CART}/x HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\n\r\n");
        let seen = raw(addr, request).await;
        assert_eq!(seen.body, format!("GET http://{CART}/x b\"\";"));
    }
}
