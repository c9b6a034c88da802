//! Clients: raw ones that see every byte, and hyper's for HTTP/2.

use std::{net::SocketAddr, time::Duration};

use api::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::fakes::PATIENCE;

/// An answer, as far as tests look at it.
#[derive(Debug)]
pub struct Seen {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Seen {
    pub fn reason(&self) -> &str {
        let after = self.body.split(r#""reason":""#).nth(1).unwrap_or("");
        after.split('"').next().unwrap_or("")
    }
}

pub async fn connect(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.unwrap()
}

/// Sends these bytes on a connection of their own and reads until the gateway closes it.
pub async fn raw(addr: SocketAddr, request: impl AsRef<[u8]>) -> Seen {
    let mut stream = connect(addr).await;
    stream.write_all(request.as_ref()).await.unwrap();
    to_end(&mut stream).await
}

pub async fn get(addr: SocketAddr, host: &str, path: &str) -> Seen {
    raw(addr, format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await
}

/// A request of this method with a body.
pub async fn send(addr: SocketAddr, host: &str, method: &str, path: &str, body: &str) -> Seen {
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    raw(addr, head + body).await
}

/// Reads until the gateway closes the connection.
pub async fn to_end(stream: &mut TcpStream) -> Seen {
    let mut bytes = Vec::new();
    // A reset after the answer is an end as good as any.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the gateway closes the connection");
    let all = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Seen { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// Reads until `wanted` was seen.
pub async fn expect(stream: &mut TcpStream, wanted: &str) -> String {
    let mut seen = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let n = timeout(PATIENCE, stream.read(&mut piece)).await.expect("the gateway sends").unwrap();
        assert!(n > 0, "closed before `{wanted}`, after: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&seen);
        if text.contains(wanted) {
            return text.into_owned();
        }
    }
}

/// A cleartext HTTP/2 connection.
pub async fn http2(addr: SocketAddr) -> SendRequest<Body> {
    let io = TokioIo::new(connect(addr).await);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

pub async fn collect<B: http_body::Body<Data = Bytes>>(body: B) -> String
where
    B::Error: std::fmt::Debug,
{
    let bytes = timeout(Duration::from_secs(20), body.collect()).await.unwrap().unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
