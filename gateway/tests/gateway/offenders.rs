//! Clients that break the rules of HTTP/2, or only make work.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Request;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    clients::{connect, get, http2},
    fakes::{CART, PATIENCE, cart, config, text, until},
};

/// What begins a connection, and its settings.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The end of a head, on the stream that is the connection itself.
const AGAINST_THE_RULES: &[u8] = b"\0\0\x01\x01\x05\0\0\0\0\x82";

async fn begin(addr: SocketAddr) -> TcpStream {
    let mut stream = connect(addr).await;
    stream.write_all(OPENING).await.unwrap();
    stream
}

/// What comes until the gateway closes the connection.
async fn all_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the gateway closes the connection");
    bytes
}

#[tokio::test]
async fn where_the_rules_of_http2_are_broken_again_and_again_its_connections_are_begun_slowly_and_others_as_before() {
    let mut config = config();
    config.header_read_timeout = Duration::from_secs(1);
    let running = cart(config, &[8], |name, _| async { text(name) }).await;
    for _ in 0..20 {
        let mut stream = begin(running.addr).await;
        // Where connections wait already, this one may be closed without a word.
        let _ = stream.write_all(AGAINST_THE_RULES).await;
        all_of(&mut stream).await;
    }
    // Twenty would take four seconds, and none waits for more than one.
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(begin(running.addr).await);
    }
    assert_eq!(get(running.addr, CART, "/").await.status, 200);
    let mut begun = 0;
    for stream in &mut streams {
        let mut first = [0; 1];
        begun += timeout(PATIENCE, stream.read(&mut first)).await.expect("it is begun or closed").unwrap_or(0);
    }
    assert!((1..20).contains(&begun), "{begun} were begun");
}

#[tokio::test]
async fn a_connection_that_opens_streams_only_to_reset_them_is_ended_and_one_that_resets_some_is_not() {
    let asked = Arc::new(AtomicUsize::new(0));
    let running = cart(config(), &[1000], {
        let asked = asked.clone();
        move |name, request| {
            asked.fetch_add(1, Relaxed);
            async move {
                match request.uri().path() {
                    "/never" => std::future::pending().await,
                    _ => text(name),
                }
            }
        }
    })
    .await;
    let request = |path: &str| Request::get(format!("http://{CART}{path}")).body(api::empty_body()).unwrap();
    let mut some = http2(running.addr).await;
    for _ in 0..300 {
        assert_eq!(some.send_request(request("/")).await.unwrap().status(), 200);
        let before = asked.load(Relaxed);
        let reset = tokio::spawn(some.send_request(request("/never")));
        until("it has reached the replica", || asked.load(Relaxed) > before).await;
        reset.abort();
        let _ = reset.await;
    }
    let mut all = http2(running.addr).await;
    let mut ended = 0;
    while all.ready().await.is_ok() && !all.is_closed() {
        let before = asked.load(Relaxed);
        let reset = tokio::spawn(all.send_request(request("/never")));
        until("it has reached the replica, or its connection is over", || {
            asked.load(Relaxed) > before || reset.is_finished()
        })
        .await;
        reset.abort();
        let _ = reset.await;
        ended += 1;
        assert!(ended < 1000, "it goes on");
    }
    assert!(ended >= 100, "it was ended after {ended}");
}
