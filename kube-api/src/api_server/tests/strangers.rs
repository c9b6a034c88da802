//! Clients that have not shown a token: how many of them there may be, for how long, and what they may ask.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{tls::connect, *};

/// What begins a connection of HTTP/2, with settings that say nothing.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn request(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// Sends a request on a connection that goes on; answers its status.
async fn ask(stream: &mut TlsStream<TcpStream>, path: &str, token: &str) -> std::io::Result<u16> {
    stream.write_all(request(path, token).as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(head.split(' ').nth(1).unwrap().parse().unwrap())
}

async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it comes in time")
}

#[tokio::test]
async fn any_number_of_anonymous_connections_keeps_nobody_out_who_has_a_token() {
    let limits = ApiLimits { max_strangers: 32, time_to_authenticate: PATIENCE * 2, ..ApiLimits::default() };
    let server = Server::start_with(limits).await;
    let mut known = connect(&server, &server.authority_pem, "localhost").await.unwrap();
    assert_eq!(patiently(ask(&mut known, "/version", server.token.as_str())).await.unwrap(), 200);
    let mut strangers = Vec::new();
    for _ in 0..512 + 8 {
        let mut stranger = patiently(connect(&server, &server.authority_pem, "localhost")).await.unwrap();
        stranger.write_all(HTTP2).await.unwrap();
        strangers.push(stranger);
    }
    let mut late = patiently(connect(&server, &server.authority_pem, "localhost")).await.unwrap();
    assert_eq!(patiently(ask(&mut late, "/version", server.token.as_str())).await.unwrap(), 200);
    assert_eq!(patiently(ask(&mut known, "/version", server.token.as_str())).await.unwrap(), 200);
    // The first of them have lost their seats.
    let mut first = strangers.swap_remove(0);
    patiently(async { while first.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {} }).await;
    server.stop().await;
}

#[tokio::test]
async fn who_shows_no_token_in_time_is_let_go_of_however_busy_and_who_does_stays() {
    let limits = ApiLimits { time_to_authenticate: Duration::from_secs(2), ..ApiLimits::default() };
    let server = Server::start_with(limits).await;
    let mut known = patiently(connect(&server, &server.authority_pem, "localhost")).await.unwrap();
    assert_eq!(patiently(ask(&mut known, "/version", server.token.as_str())).await.unwrap(), 200);
    let mut silent = TcpStream::connect(&server.address).await.unwrap();
    let mut healthy = patiently(connect(&server, &server.authority_pem, "localhost")).await.unwrap();
    let mut http2 = patiently(connect(&server, &server.authority_pem, "localhost")).await.unwrap();
    http2.write_all(HTTP2).await.unwrap();
    assert_eq!(patiently(ask(&mut healthy, "/healthz", "")).await.unwrap(), 200);
    patiently(async { while silent.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {} }).await;
    patiently(async { while http2.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {} }).await;
    patiently(async { while healthy.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {} }).await;
    assert_eq!(patiently(ask(&mut known, "/version", server.token.as_str())).await.unwrap(), 200);
    server.stop().await;
}

#[tokio::test]
async fn wrong_tokens_are_answered_at_a_rate_and_right_ones_from_the_same_address_always() {
    let server = Server::start().await;
    let mut guessing = patiently(connect(&server, &server.authority_pem, "localhost")).await.unwrap();
    let (mut codes, wrong) = (Vec::new(), "0".repeat(64));
    while let Ok(code) = patiently(ask(&mut guessing, "/version", &wrong)).await {
        codes.push(code);
    }
    assert!(codes.len() < 150 && codes.contains(&401), "{codes:?}");
    assert_eq!(codes.last(), Some(&429), "{codes:?}");
    let mut known = patiently(connect(&server, &server.authority_pem, "localhost")).await.unwrap();
    assert_eq!(patiently(ask(&mut known, "/version", server.token.as_str())).await.unwrap(), 200);
    for _ in 0..150 {
        assert_eq!(patiently(ask(&mut known, "/healthz", server.token.as_str())).await.unwrap(), 200);
    }
    server.stop().await;
}
