use std::net::SocketAddr;

use api::outbound::{CONNECT_TIMEOUT, Connect, ConnectError, Reach, parse_address};
use futures::future::BoxFuture;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

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
        None => lookup_host((host, port)).await.map_err(|error| ConnectError::Name(error.to_string()))?.collect(),
    };
    addresses.retain(|address| reach.includes(address.ip()));
    if addresses.is_empty() { Err(ConnectError::Prohibited) } else { Ok(addresses) }
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
