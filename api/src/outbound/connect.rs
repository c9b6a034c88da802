use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::TcpStream;

use super::Reach;

/// How long a connection may take to be made, with the look-up of its name.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes connections to hosts outside: itself, or by asking who may.
///
/// A name is resolved once, its addresses are checked, and the connection goes to an address that was checked: there is no
/// second look-up that could answer otherwise.
pub trait Connect: Send + Sync {
    /// A connection to a host, a name or an address, at one of the addresses that `reach` includes. It is there within
    /// [`CONNECT_TIMEOUT`], and belongs to the runtime that polls the future. It is made for guests of a namespace, which have a part
    /// of what may be under way at a time; `None`: for this process itself.
    fn connect(
        &self,
        guests: Option<&str>,
        host: &str,
        port: u16,
        reach: Reach,
    ) -> BoxFuture<'static, Result<TcpStream, ConnectError>>;
}

/// Why no connection was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Who was asked knows of no grant for it.
    #[error("no grant names it")]
    NotGranted,
    /// It has addresses, but none that may be reached.
    #[error("no public address")]
    Prohibited,
    /// It has no address.
    #[error("name not found: {0}")]
    Name(String),
    /// None of its addresses takes the connection.
    #[error("connection refused: {0}")]
    Refused(String),
    /// It was not there in time.
    #[error("timeout")]
    Timeout,
    /// Who makes connections for this process does not answer.
    #[error("nobody makes connections for this process: {0}")]
    Unanswered(String),
}
