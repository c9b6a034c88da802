use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use tokio::io::AsyncWriteExt;

use crate::{
    clients::{connect, expect, http2, raw},
    fakes::{Answer, CART, Running, cart, config, text},
};

fn fields(names: &[&'static str]) -> HeaderMap {
    names.iter().map(|&name| (name.parse().unwrap(), HeaderValue::from_static("0"))).collect()
}

fn with_trailers(trailers: HeaderMap) -> api::Body {
    let frames = [Ok(Frame::data(Bytes::from_static(b"body"))), Ok(Frame::trailers(trailers))];
    StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
}

async fn answers_with_trailers() -> Running {
    cart(config(), &[1], |_, _| async {
        let mut response = Response::new(with_trailers(fields(&["grpc-status", "set-cookie", "x-forwarded-for"])));
        response.headers_mut().insert(header::TRAILER, HeaderValue::from_static("grpc-status"));
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("4"));
        Ok(response)
    })
    .await
}

#[tokio::test]
async fn over_http_1_1_trailers_follow_where_the_client_reads_them() {
    let running = answers_with_trailers().await;
    let asking = |more: &str| format!("GET / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\n{more}\r\n");
    let seen = raw(running.addr, asking("te: trailers\r\n")).await;
    assert_eq!(seen.body, "4\r\nbody\r\n0\r\ngrpc-status: 0\r\n\r\n", "{}", seen.head);
    assert!(seen.head.contains("\r\ntrailer: grpc-status"), "{}", seen.head);
    let seen = raw(running.addr, asking("")).await;
    assert_eq!(seen.body, "body");
    assert!(!seen.head.contains("trailer"), "{}", seen.head);
}

/// Announces nothing, and decides on trailers at the end, as a guest does that streams.
async fn decides_on_trailers_late() -> Running {
    cart(config(), &[1], |_, request| async move {
        let mut trailers = fields(&["grpc-status", "set-cookie"]);
        trailers.append("x-sum", HeaderValue::from_static("a, b"));
        trailers.append("x-sum", HeaderValue::from_static("c"));
        let frames = match request.uri().path() {
            // Pieces that look like the end of a body.
            "/ends" => vec![Frame::data(Bytes::from_static(b"0\r\n\r\n")), Frame::trailers(trailers)],
            "/none" => vec![Frame::data(Bytes::from_static(b"0\r\n\r\n")), Frame::trailers(HeaderMap::new())],
            "/bare" => vec![Frame::trailers(trailers)],
            "/long" => (0..30)
                .map(|_| Frame::data(Bytes::from_static(&[b'x'; 16 << 10])))
                .chain([Frame::trailers(trailers)])
                .collect(),
            path => return text(path),
        };
        let pieces = futures::stream::iter(frames).then(|frame| async {
            tokio::task::yield_now().await;
            Ok(frame)
        });
        Ok(Response::new(StreamBody::new(pieces).boxed_unsync()))
    })
    .await
}

#[tokio::test]
async fn over_http_1_1_trailers_follow_that_no_head_has_named() {
    let running = decides_on_trailers_late().await;
    let end = "0\r\ngrpc-status: 0\r\nx-sum: a, b\r\nx-sum: c\r\n\r\n";
    let mut stream = connect(running.addr).await;
    // One connection: what follows an answer is not disturbed.
    for (path, body) in [
        ("/ends", format!("5\r\n0\r\n\r\n\r\n{end}")),
        ("/none", "5\r\n0\r\n\r\n\r\n0\r\n\r\n".to_owned()),
        ("/bare", end.to_owned()),
        ("/long", end.to_owned()),
        ("/plain", "/plain".to_owned()),
    ] {
        let asking = format!("GET {path} HTTP/1.1\r\nhost: {CART}\r\nte: trailers\r\n\r\n");
        stream.write_all(asking.as_bytes()).await.unwrap();
        let seen = expect(&mut stream, &body).await;
        assert!(seen.starts_with("HTTP/1.1 200") && seen.ends_with(&body), "{path}: {seen}");
        if path != "/long" {
            assert_eq!(seen.split_once("\r\n\r\n").unwrap().1, body, "{path}");
        }
    }
    let seen = raw(running.addr, format!("GET /ends HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\n\r\n")).await;
    assert_eq!(seen.body, "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "who does not read trailers gets none");
}

#[tokio::test]
async fn over_http2_trailers_follow_without_those_that_never_may() {
    let running = answers_with_trailers().await;
    let request = Request::get(format!("http://{CART}/")).body(api::empty_body()).unwrap();
    let answer = http2(running.addr).await.send_request(request).await.unwrap();
    assert_eq!(answer.headers()[header::CONTENT_LENGTH], "4");
    let whole = answer.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers(), Some(&fields(&["grpc-status"])));
    assert_eq!(whole.to_bytes(), "body");
}

async fn tells_trailers(request: Request<api::Body>) -> Answer {
    let mut names = Vec::new();
    let mut frames = request.into_body();
    while let Some(frame) = frames.frame().await {
        if let Ok(trailers) = frame.unwrap().into_trailers() {
            names.extend(trailers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())));
        }
    }
    text(names.join(" "))
}

#[tokio::test]
async fn trailers_of_a_request_reach_the_guest() {
    let running = cart(config(), &[1], |_, request| tells_trailers(request)).await;
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
         4\r\nbody\r\n0\r\nx-sum: 7\r\nhost: elsewhere\r\n\r\n"
    );
    assert_eq!(raw(running.addr, request).await.body, "x-sum=7");
    let request =
        Request::post(format!("http://{CART}/")).body(with_trailers(fields(&["x-sum", "authorization"]))).unwrap();
    let answer = http2(running.addr).await.send_request(request).await.unwrap();
    let body: Vec<_> = answer.into_body().into_data_stream().collect().await;
    assert_eq!(body.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat(), b"x-sum=0");
}
