use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// What is read of a connection that is being closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: u64,
    /// How long a pause may be.
    pub(super) idle: Duration,
    pub(super) total: Duration,
}

/// Bytes that are read at once of what nobody wants.
const PIECE_BYTES: usize = 16 << 10;

/// What a client that still sends gets at shutdown to read its answer.
const AT_SHUTDOWN: Duration = Duration::from_secs(1);

/// Closes a connection in stages (RFC 9112, 9.6). Of a socket that is closed while input waits in it, the system tells the
/// client that it was reset, which may throw away the answer before the client has read it. So what it still sends is read,
/// until it closes too, within bounds.
pub(super) async fn linger(mut stream: TcpStream, bounds: Bounds, draining: &CancellationToken) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut end = Instant::now() + bounds.total;
    let mut left = bounds.bytes;
    let mut piece = vec![0; PIECE_BYTES];
    let mut hurried = false;
    loop {
        tokio::select! {
            biased;
            () = sleep_until(end) => return,
            () = draining.cancelled(), if !hurried => {
                hurried = true;
                end = end.min(Instant::now() + AT_SHUTDOWN);
            }
            read = timeout(bounds.idle, stream.read(&mut piece)) => match read {
                Ok(Ok(bytes)) if bytes > 0 && bytes as u64 <= left => left -= bytes as u64,
                _ => return,
            }
        }
    }
}
