use serde::{Deserialize, Serialize};

/// Where a worker takes requests from gateways of other processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// Tells machines (and network namespaces) apart: the socket is of use to who has the same.
    pub machine: String,
    /// The path of a Unix socket on that machine.
    pub socket: Option<String>,
    /// `HOST:PORT` for mutual TLS, from anywhere.
    pub tcp: Option<String>,
}
