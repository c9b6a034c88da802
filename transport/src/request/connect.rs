use std::{io, path::PathBuf, sync::Arc, time::Duration};

use api::WorkerName;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::RequestLimits;
use crate::{
    broker::{BrokerClient, Wanted},
    identity::{Identity, authority_ended, peer, revoked},
    peer::{Stream, connect_to},
};

/// When the authority of a worker's certificate is trusted no more, what is in flight there is answered within this time.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// How a worker is reached from here.
#[derive(Clone)]
pub(super) enum Way {
    /// It is on this machine.
    Socket(PathBuf),
    /// It is on this machine, and who started this process connects to it.
    Broker { broker: BrokerClient, worker: WorkerName, socket: String },
    /// Over the network, each side showing who it is.
    Tls { address: String, name: ServerName<'static>, identity: Arc<Identity> },
    /// There is none, and this is why.
    None(String),
}

impl Way {
    /// A new connection within the time for it, and what resolves once the certificate of its other side holds no more.
    pub(super) async fn connect(
        &self,
        limits: &RequestLimits,
    ) -> io::Result<(TokioIo<Box<dyn Stream>>, BoxFuture<'static, ()>)> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {:?}", limits.connect));
        let (stream, distrusted) = timeout(limits.connect, self.open()).await.unwrap_or_else(|_| Err(late()))?;
        Ok((TokioIo::new(stream), distrusted))
    }

    async fn open(&self) -> io::Result<(Box<dyn Stream>, BoxFuture<'static, ()>)> {
        match self {
            Self::Socket(path) => Ok((Box::new(connect_to(path).await?), Box::pin(std::future::pending()))),
            Self::Broker { broker, worker, socket } => {
                let wanted = Wanted::Worker { name: worker.clone(), socket: socket.clone() };
                Ok((Box::new(broker.connection(wanted).await?), Box::pin(std::future::pending())))
            }
            Self::Tls { address, name, identity } => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let then = identity.trust().borrow().clone();
                let connector = TlsConnector::from(identity.client_config());
                let stream = connector.connect(name.clone(), stream).await?;
                let shown = peer(stream.get_ref().1).ok_or(io::ErrorKind::PermissionDenied)?;
                let (known, trust) = (then.knows_authority_of(&shown), identity.trust());
                let ended = authority_ended(trust.clone(), known, shown.clone());
                let distrusted = async move {
                    tokio::select! {
                        () = revoked(trust, shown) => {}
                        // The worker closes it, once it has answered what it was asked.
                        () = async { ended.await; sleep(ANSWERED_WITHIN).await } => {}
                    }
                };
                Ok((Box::new(stream), Box::pin(distrusted)))
            }
            Self::None(why) => Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why.clone())),
        }
    }
}
