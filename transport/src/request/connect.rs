use std::{io, path::PathBuf, sync::Arc};

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::RequestLimits;
use crate::{
    identity::Identity,
    peer::{Stream, connect_to},
};

/// How a worker is reached from here.
#[derive(Clone)]
pub(super) enum Way {
    /// It is on this machine.
    Socket(PathBuf),
    /// Over the network, each side showing who it is.
    Tls { address: String, name: ServerName<'static>, identity: Arc<Identity> },
    /// There is none, and this is why.
    None(String),
}

impl Way {
    /// A new connection within the time for it.
    pub(super) async fn connect(&self, limits: &RequestLimits) -> io::Result<TokioIo<Box<dyn Stream>>> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {:?}", limits.connect));
        timeout(limits.connect, self.open()).await.unwrap_or_else(|_| Err(late())).map(TokioIo::new)
    }

    async fn open(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Socket(path) => Ok(Box::new(connect_to(path).await?)),
            Self::Tls { address, name, identity } => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let connector = TlsConnector::from(identity.client_config());
                Ok(Box::new(connector.connect(name.clone(), stream).await?))
            }
            Self::None(why) => Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why.clone())),
        }
    }
}
