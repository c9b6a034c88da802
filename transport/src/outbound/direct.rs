use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
};

use api::outbound::{CONNECT_TIMEOUT, Connect, ConnectError, Reach, parse_address};
use futures::future::BoxFuture;
use tokio::{net::TcpStream, sync::Semaphore, task::spawn_blocking, time::timeout};

/// Names that are looked up at a time. Each takes a thread of those that this process also does other things with, and may
/// keep it for longer than anybody waits.
const LOOK_UPS: usize = 64;

static SEATS: Semaphore = Semaphore::const_new(LOOK_UPS);

/// Makes connections from this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirectConnect;

impl Connect for DirectConnect {
    fn connect(&self, host: &str, port: u16, reach: Reach) -> BoxFuture<'static, Result<TcpStream, ConnectError>> {
        let host = host.to_owned();
        Box::pin(async move {
            let connecting = async { connect_any(addresses(&host, port, reach).await?).await };
            timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(ConnectError::Timeout))
        })
    }
}

async fn addresses(host: &str, port: u16, reach: Reach) -> Result<Vec<SocketAddr>, ConnectError> {
    let mut addresses: Vec<_> = match parse_address(host) {
        Some(address) => vec![SocketAddr::new(address, port)],
        None => look_up(host, port).await.map_err(|error| ConnectError::Name(error.to_string()))?,
    };
    addresses.retain(|address| reach.includes(address.ip()));
    if addresses.is_empty() { Err(ConnectError::Prohibited) } else { Ok(addresses) }
}

async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (seat, host) = (SEATS.acquire().await, host.to_owned());
    let looking = spawn_blocking(move || {
        let _seat = seat;
        (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
    });
    looking.await.map_err(io::Error::other)?
}

async fn connect_any(addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectError> {
    let mut last = ConnectError::Prohibited;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Requests and answers are small: none waits for more.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = ConnectError::Refused(error.to_string()),
        }
    }
    Err(last)
}
