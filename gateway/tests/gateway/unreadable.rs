//! Heads that cannot be read: the answer says why, whoever found it.

use crate::{
    balancers::balanced_port,
    clients::{connect, expect, raw, to_end},
    fakes::{CART, cart, config, text},
};
use http::{Response, StatusCode};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_head_that_cannot_be_read_is_answered_with_what_is_wrong() {
    let mut running = cart(config(), &[9], |name, _| async { text(name) }).await;
    let balanced = balanced_port(&mut running, "cart").await;
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = "x".repeat(40 << 10);
    let host = format!("host: {CART}\r\n");
    for addr in [running.addr, balanced] {
        for (head, status, reason, says) in [
            ("hello\r\n\r\n".into(), 400, "BadRequest", "`GET /path HTTP/1.1`"),
            ("GET /\r\n\r\n".into(), 400, "BadRequest", "`GET /path HTTP/1.1`"),
            (format!("GET /a b HTTP/1.1\r\n{host}\r\n"), 400, "BadRequest", "%20"),
            (format!("GET / HTTP/2.0\r\n{host}\r\n"), 505, "VersionUnsupported", "HTTP/1.1"),
            (format!("GET / HTTP/1.2\r\n{host}\r\n"), 505, "VersionUnsupported", "HTTP/1.1"),
            (format!("GET / http/1.1\r\n{host}\r\n"), 400, "BadRequest", "`GET /path HTTP/1.1`"),
            (format!("G(T / HTTP/1.1\r\n{host}\r\n"), 400, "BadRequest", "cannot be read"),
            (format!("GET /a|<b> HTTP/1.1\r\n{host}\r\n"), 400, "BadRequest", "percent-encoded"),
            (format!("GET / HTTP/1.1\r\n{host}x-a : b\r\n\r\n"), 400, "BadRequest", "before a colon"),
            (format!("GET / HTTP/1.1\r\n{host}x-a: b\x01\r\n\r\n"), 400, "BadRequest", "control characters"),
            (format!("GET / HTTP/1.1\r\n{host}no colon\r\n\r\n"), 400, "BadRequest", "colon"),
            (
                format!("POST / HTTP/1.0\r\n{host}transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
                400,
                "BadRequest",
                "HTTP/1.0 has no `Transfer-Encoding`",
            ),
            (format!("GET / HTTP/1.1\r\n{host}{many}\r\n"), 431, "HeadTooLarge", "more than 100 fields"),
            (format!("GET / HTTP/1.1\r\n{host}x: {long}\r\n\r\n"), 431, "HeadTooLarge", "the limit is 32768 bytes"),
            (format!("GET /{long} HTTP/1.1\r\n{host}\r\n"), 431, "HeadTooLarge", "the limit is 32768 bytes"),
            ("\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03".into(), 400, "BadRequest", "without TLS"),
        ] {
            let short = &head[..head.len().min(60)];
            let seen = raw(addr, &head).await;
            assert_eq!((seen.status, seen.reason()), (status, reason), "{short:?}: {seen:?}");
            assert!(seen.body.contains(says), "{short:?}: {seen:?}");
            assert!(seen.head.contains("connection: close"), "{short:?}: {seen:?}");
            // Behind a request that was answered, too.
            let mut stream = connect(addr).await;
            stream.write_all(format!("GET / HTTP/1.1\r\n{host}\r\n").as_bytes()).await.unwrap();
            expect(&mut stream, "r0").await;
            stream.write_all(head.as_bytes()).await.unwrap();
            let seen = to_end(&mut stream).await;
            assert_eq!((seen.status, seen.reason()), (status, reason), "{short:?}: {seen:?}");
        }
    }
    let refusals = running.gateway.measurements().refusals;
    let count = |wanted: &str| refusals.iter().find(|(reason, _)| reason.as_str() == wanted).unwrap().1;
    assert_eq!(
        (count("BadRequest"), count("VersionUnsupported"), count("HeadTooLarge")),
        (44, 8, 12),
        "each is counted"
    );
}

#[tokio::test]
async fn an_empty_400_of_a_guest_stays_as_it_is() {
    let running = cart(config(), &[9], |_, _| async {
        let mut response = Response::new(api::empty_body());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        Ok(response)
    })
    .await;
    let request = format!("GET / HTTP/1.1\r\nhost: {CART}\r\n\r\n");
    let last = format!("GET / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\n\r\n");
    for requests in [last.clone(), format!("{request}{request}{last}")] {
        let seen = raw(running.addr, requests).await;
        assert!(seen.status == 400 && !seen.head.contains("content-type") && !seen.body.contains("error"), "{seen:?}");
    }
}
