//! What HTTP says about bodies and fields, in all its versions.

use std::sync::Arc;

use futures::StreamExt;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    clients::{collect, connect, expect, http2, raw},
    fakes::{CART, PATIENCE, cart, config, text, until},
};

async fn ask2(addr: std::net::SocketAddr, method: Method, host: &str) -> Response<hyper::body::Incoming> {
    let request = Request::builder().method(method).uri(format!("http://{host}/")).body(api::empty_body()).unwrap();
    http2(addr).await.send_request(request).await.unwrap()
}

#[tokio::test]
async fn over_http2_an_answer_to_head_is_a_head_alone_whoever_gives_it() {
    let running = cart(config(), &[1], |_, _| async { text("twelve bytes") }).await;
    for (host, status) in [(CART, 200), ("nobody.example", 404)] {
        let response = ask2(running.addr, Method::HEAD, host).await;
        assert_eq!(response.status(), status);
        assert!(response.headers().contains_key(header::CONTENT_LENGTH), "{host}: {response:?}");
        assert!(response.body().is_end_stream(), "{host}: the head ends the stream");
        assert_eq!(collect(response.into_body()).await, "");
    }
}

#[tokio::test]
async fn statuses_without_content_have_none_in_any_version() {
    let running = cart(config(), &[1], |_, request| async move {
        let mut response = Response::new(api::full_body("a body that should not be"));
        *response.status_mut() = request.uri().path()[1..].parse::<StatusCode>().unwrap();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("25"));
        Ok(response)
    })
    .await;
    for status in [204, 205, 304] {
        let request = Request::get(format!("http://{CART}/{status}")).body(api::empty_body()).unwrap();
        let response = http2(running.addr).await.send_request(request).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(!response.headers().contains_key(header::CONTENT_LENGTH), "{response:?}");
        assert!(response.body().is_end_stream(), "{status}");
        let request = format!("GET /{status} HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\n\r\n");
        let seen = raw(running.addr, request).await;
        assert_eq!((seen.status, &*seen.body), (status, ""));
        assert!(!seen.head.contains("content-length: 25"), "{}", seen.head);
    }
}

#[tokio::test]
async fn over_http2_values_reach_guests_without_blanks_around_them() {
    let running =
        cart(config(), &[1], |_, request| async move { text(format!("{:?}", request.headers()["x-a"])) }).await;
    for (sent, seen) in [(" a\tb ", "\"a\tb\""), ("\t", "\"\""), ("a", "\"a\"")] {
        let request = Request::get(format!("http://{CART}/")).header("x-a", sent).body(api::empty_body()).unwrap();
        let response = http2(running.addr).await.send_request(request).await.unwrap();
        assert_eq!(collect(response.into_body()).await, seen);
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_can_tell_an_answer_that_broke_off_from_a_whole_one() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let opened = gate.clone();
    let running = cart(config(), &[1], move |_, request| {
        let gate = gate.clone();
        async move {
            let breaks_off = request.uri().path() == "/broken";
            let rest = futures::stream::once(async move {
                gate.notified().await;
                if breaks_off {
                    Err(api::BodyError::Guest("it trapped".into()))
                } else {
                    Ok(Frame::data(" pieces".into()))
                }
            });
            let first = futures::stream::once(async { Ok(Frame::data("some".into())) });
            Ok(Response::new(StreamBody::new(first.chain(rest)).boxed_unsync()))
        }
    })
    .await;
    for (path, whole) in [("/whole", true), ("/broken", false)] {
        let mut stream = connect(running.addr).await;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: {CART}\r\n\r\n").as_bytes()).await.unwrap();
        expect(&mut stream, "some").await;
        opened.notify_one();
        let mut rest = String::new();
        let ended = timeout(PATIENCE, stream.read_to_string(&mut rest)).await.unwrap();
        assert_eq!((ended.is_ok(), &*rest), (whole, if whole { " pieces" } else { "" }), "{path}");
    }
}

#[tokio::test]
async fn an_endless_body_is_let_go_of_when_only_its_head_was_asked_for() {
    let running = cart(config(), &[1], |_, _| async {
        let endless = futures::stream::repeat_with(|| Ok(Frame::data("more".into())));
        Ok(Response::new(StreamBody::new(endless).boxed_unsync()))
    })
    .await;
    let response = ask2(running.addr, Method::HEAD, CART).await;
    assert!(response.body().is_end_stream());
    until("the permit is free", || running.measured("cart").in_flight == 0).await;
}

#[tokio::test]
async fn pieces_of_a_cookie_are_one_field_for_the_guest() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let seen = got.clone();
    let running = cart(config(), &[1], move |_, request| {
        let cookies = request.headers().get_all(header::COOKIE).iter();
        *seen.lock() = cookies.map(|value| value.as_bytes().to_vec()).collect();
        async { text("") }
    })
    .await;
    let crumbs: Vec<Vec<u8>> = (0..300).map(|n| [format!("n{n}=").as_bytes(), &[0xe9, b'x']].concat()).collect();
    let mut request = Request::get(format!("http://{CART}/"));
    for crumb in &crumbs {
        request = request.header(header::COOKIE, HeaderValue::from_bytes(crumb).unwrap());
    }
    http2(running.addr).await.send_request(request.body(api::empty_body()).unwrap()).await.unwrap();
    assert_eq!(*got.lock(), [crumbs.join(&b"; "[..])]);
}
