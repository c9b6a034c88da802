//! Answers that come before their request was read: clients get them, though they read only when they have sent all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    clients::{Seen, connect, expect, http2, to_end},
    fakes::{CART, PATIENCE, Running, cart, config, text, until},
};

const UPLOAD: usize = 8 << 20;

/// Sends all, and only then reads.
async fn upload(running: &Running, host: &str, path: &str, chunked: bool) -> Seen {
    let mut stream = connect(running.addr).await;
    let framing = if chunked { "transfer-encoding: chunked".into() } else { format!("content-length: {UPLOAD}") };
    let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\n{framing}\r\n\r\n");
    let send = async {
        stream.write_all(head.as_bytes()).await?;
        let piece = vec![b'x'; 64 << 10];
        for _ in 0..UPLOAD / piece.len() {
            if chunked {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            }
            stream.write_all(&piece).await?;
            if chunked {
                stream.write_all(b"\r\n").await?;
            }
        }
        if chunked {
            stream.write_all(b"0\r\n\r\n").await?;
        }
        std::io::Result::Ok(())
    };
    timeout(PATIENCE, send).await.expect("it is taken").expect("it is not reset");
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap().expect("the answer, and a regular end");
    let all = String::from_utf8(bytes).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Seen { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

#[tokio::test]
async fn after_an_answer_that_comes_before_a_small_body_the_connection_takes_the_next_request() {
    let running = cart(config(), &[1], |_, _| async { text("no thanks") }).await;
    for (framing, pieces) in [
        ("content-length: 9", ["", "some", " body"]),
        ("transfer-encoding: chunked", ["4\r\nsome\r\n", "5\r\n body\r\n", "0\r\n\r\n"]),
    ] {
        for host in [CART, "nobody.example"] {
            let mut stream = connect(running.addr).await;
            for _ in 0..20 {
                let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\n{framing}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                let answer = expect(&mut stream, if host == CART { "no thanks" } else { "UnknownHost" }).await;
                assert!(!answer.contains("connection: close"), "{answer}");
                for piece in pieces {
                    stream.write_all(piece.as_bytes()).await.unwrap();
                }
            }
        }
    }
    let mut stream = connect(running.addr).await;
    let head = format!("POST / HTTP/1.1\r\nhost: {CART}\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = expect(&mut stream, "no thanks").await;
    assert!(
        answer.contains("connection: close") && !answer.contains("100 Continue"),
        "nobody knows what follows: {answer}"
    );
}

#[tokio::test]
async fn an_answer_that_comes_before_the_upload_was_read_reaches_the_client() {
    let mut config = config();
    config.queue_limit = 0;
    let running = cart(config, &[1], |_, request| async move {
        let status = request.uri().path()[1..].parse::<StatusCode>().unwrap();
        let mut response = Response::new(api::full_body("no thanks"));
        *response.status_mut() = status;
        Ok(response)
    })
    .await;
    for chunked in [false, true] {
        for status in [200, 303, 401, 404] {
            let seen = upload(&running, CART, &format!("/{status}"), chunked).await;
            assert_eq!((seen.status, &*seen.body), (status, "no thanks"));
            let says_so = seen.head.contains("connection: close");
            assert_eq!(says_so, !chunked, "of what is announced it is known that the rest is not read: {seen:?}");
        }
        assert_eq!(upload(&running, "nobody.example", "/", chunked).await.reason(), "UnknownHost");
    }
    running.endpoints("cart", &[]).await;
    assert_eq!(upload(&running, CART, "/", false).await.reason(), "QueueFull");
}

#[tokio::test]
async fn who_sends_too_much_is_told_however_late_it_shows() {
    let mut config = config();
    config.max_body_bytes = 1 << 20;
    let running = cart(config, &[1], |_, request| async move {
        let read = request.into_body().collect().await;
        text(read.map_or_else(|error| error.to_string(), |body| body.to_bytes().len().to_string()))
    })
    .await;
    for chunked in [false, true] {
        let seen = upload(&running, CART, "/", chunked).await;
        assert_eq!((seen.status, seen.reason()), (413, "RequestBodyTooLarge"), "chunked: {chunked}");
    }
}

#[tokio::test]
async fn what_nobody_wants_is_read_within_bounds_of_bytes_and_of_time() {
    let mut config = config();
    config.linger_bytes = 100_000;
    config.linger_idle = Duration::from_millis(200);
    let running = cart(config, &[1], |_, _| async { text("no thanks") }).await;
    let head = format!("POST / HTTP/1.1\r\nhost: {CART}\r\ncontent-length: {UPLOAD}\r\n\r\n");

    let mut silent = connect(running.addr).await;
    silent.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(to_end(&mut silent).await.body, "no thanks");
    until("the silent one is let go of", || running.gateway.measurements().connections == 0).await;

    let mut endless = connect(running.addr).await;
    endless.write_all(head.as_bytes()).await.unwrap();
    let begun = Instant::now();
    while endless.write_all(&[b'x'; 10_000]).await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "it is cut off");
    }
    until("the endless one is let go of", || running.gateway.measurements().connections == 0).await;
}

#[tokio::test]
async fn over_http2_an_upload_that_nobody_reads_is_taken_and_its_stream_ends_in_order() {
    let running = cart(config(), &[1], |_, _| async { text("no thanks") }).await;
    for host in [CART, "nobody.example"] {
        let taken = Arc::new(AtomicUsize::new(0));
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        let pieces = UPLOAD / piece.len();
        let counted = taken.clone();
        let upload = futures::stream::iter((0..pieces).map(move |_| {
            counted.fetch_add(1, Relaxed);
            Ok(Frame::data(piece.clone()))
        }));
        let request = Request::post(format!("http://{host}/")).body(StreamBody::new(upload).boxed_unsync()).unwrap();
        let mut client = http2(running.addr).await;
        let answer = timeout(PATIENCE, client.send_request(request)).await.unwrap().unwrap();
        assert_eq!(answer.status(), if host == CART { 200 } else { 404 });
        answer.into_body().collect().await.unwrap();
        until("all of it is taken", || taken.load(Relaxed) == pieces).await;
        // And its connection serves on.
        let request = Request::get(format!("http://{CART}/")).body(api::empty_body()).unwrap();
        assert_eq!(client.send_request(request).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn who_is_turned_away_with_an_upload_is_told_why() {
    let mut config = config();
    config.max_connections = 0;
    let running = cart(config, &[1], |name, _| async { text(name) }).await;
    for chunked in [false, true] {
        let seen = upload(&running, CART, "/", chunked).await;
        assert_eq!((seen.status, seen.reason()), (503, "TooManyConnections"), "chunked: {chunked}");
    }
    assert_eq!(running.gateway.measurements().connections, 0);
}

#[tokio::test]
async fn a_connection_whose_small_body_was_not_read_takes_another_request() {
    let running = cart(config(), &[1], |_, _| async { text("no thanks") }).await;
    let mut stream = connect(running.addr).await;
    for _ in 0..3 {
        let request = format!("POST / HTTP/1.1\r\nhost: {CART}\r\ncontent-length: 5\r\n\r\nsmall");
        stream.write_all(request.as_bytes()).await.unwrap();
        let seen = expect(&mut stream, "no thanks").await;
        assert!(!seen.contains("connection: close"), "{seen}");
    }
}
