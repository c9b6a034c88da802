use api::BodyError;
use bytes::Bytes;
use futures::{SinkExt, StreamExt, channel::mpsc};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

use crate::{
    clients::{connect, expect, http2, raw, to_end},
    fakes::{CART, cart, config, text, until},
};

type Pieces = mpsc::Sender<Result<Frame<Bytes>, BodyError>>;

fn piped() -> (Pieces, api::Body) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, StreamBody::new(receiver).boxed_unsync())
}

#[tokio::test]
async fn pieces_of_an_answer_reach_the_client_as_they_come_and_the_permit_is_held_till_the_end() {
    let pieces = Arc::new(Mutex::new(None));
    let keep = pieces.clone();
    let running = cart(config(), &[1], move |_, _| {
        let (sender, body) = piped();
        *keep.lock() = Some(sender);
        async { Ok(Response::new(body)) }
    })
    .await;
    let mut stream = connect(running.addr).await;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    expect(&mut stream, "\r\n\r\n").await;
    let mut sender = pieces.lock().take().unwrap();
    for piece in ["first", "second"] {
        sender.send(Ok(Frame::data(piece.into()))).await.unwrap();
        expect(&mut stream, piece).await;
    }
    assert_eq!(running.measured("cart").in_flight, 1);
    drop(sender);
    to_end(&mut stream).await;
    until("the permit is free", || running.measured("cart").in_flight == 0).await;
}

#[tokio::test]
async fn bodies_stream_both_ways_at_the_same_time() {
    let running = cart(config(), &[1], |_, request| async { Ok(Response::new(request.into_body())) }).await;
    let (mut sender, body) = piped();
    let request = Request::post(format!("http://{CART}/")).body(body).unwrap();
    let response = http2(running.addr).await.send_request(request).await.unwrap();
    let mut echo = response.into_body().into_data_stream();
    for piece in ["ping", "pong"] {
        sender.send(Ok(Frame::data(piece.into()))).await.unwrap();
        assert_eq!(echo.next().await.unwrap().unwrap(), piece);
    }
    drop(sender);
    while let Some(end) = echo.next().await {
        assert_eq!(end.unwrap(), "");
    }

    let head = format!("POST / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut stream = connect(running.addr).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in ["ping", "pong"] {
        stream.write_all(format!("4\r\n{piece}\r\n").as_bytes()).await.unwrap();
        expect(&mut stream, piece).await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    to_end(&mut stream).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_at_the_client_too() {
    let running = cart(config(), &[1], |_, _| async {
        let (mut sender, body) = piped();
        sender.try_send(Err(BodyError::Guest("trapped".into()))).unwrap();
        Ok(Response::new(body))
    })
    .await;
    let seen = raw(running.addr, format!("GET / HTTP/1.1\r\nhost: {CART}\r\n\r\n")).await;
    assert!(!seen.body.contains("0\r\n\r\n"), "no regular end: {seen:?}");
    until("it is counted", || running.measured("cart").failed == 1).await;
}

#[tokio::test]
async fn head_requests_get_the_length_and_no_body() {
    let running = cart(config(), &[1], |_, _| async { text("twelve bytes") }).await;
    let seen = raw(running.addr, format!("HEAD / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\n\r\n")).await;
    assert!(seen.head.contains("content-length: 12"), "{}", seen.head);
    assert_eq!(seen.body, "");
    until("the permit is free", || running.measured("cart").in_flight == 0).await;
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told_to_when_the_replica_wants_the_body() {
    let running = cart(config(), &[1], |_, request| async {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Ok(Response::new(api::full_body(body)))
    })
    .await;
    let mut stream = connect(running.addr).await;
    let head = format!(
        "PUT / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    expect(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(b"body").await.unwrap();
    assert_eq!(to_end(&mut stream).await.body, "body");
}
