use std::{io, time::Duration};

use tokio::{net::TcpStream, time::sleep};

/// How a connection begins whose client speaks HTTP/2 without having asked (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A preface that comes in pieces is looked at again so often. Rare: it is 24 bytes, sent at once.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Looks at a connection's first bytes without taking them. The caller bounds the time.
pub(super) async fn spoken(stream: &TcpStream) -> io::Result<Protocol> {
    let mut first = [0; HTTP2_PREFACE.len()];
    let mut seen = 0;
    loop {
        let now = stream.peek(&mut first).await?;
        if now == HTTP2_PREFACE.len() && first == *HTTP2_PREFACE {
            return Ok(Protocol::Http2);
        }
        // Zero bytes: the client left, which HTTP/1 will find out.
        if now == 0 || first[..now] != HTTP2_PREFACE[..now] {
            return Ok(Protocol::Http1);
        }
        if now == seen {
            sleep(LOOK_AGAIN).await;
        }
        seen = now;
    }
}
