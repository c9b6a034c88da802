use std::{io, net::SocketAddr};

/// Why a gateway cannot run.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The main HTTP address is taken.
    #[error("cannot listen at {addr}: another process listens there; stop it or choose another address with `--http`")]
    AddressInUse {
        /// The address of `--http`.
        addr: SocketAddr,
    },
    /// The main HTTP address cannot be bound for another reason.
    #[error("cannot listen at {addr}: {why}; choose another address with `--http`")]
    Bind {
        /// The address of `--http`.
        addr: SocketAddr,
        /// What the system said, and the way out.
        why: String,
    },
    /// A serving thread did not start.
    #[error("cannot start a serving thread: {0}")]
    Thread(#[source] io::Error),
}
