use std::path::PathBuf;

use kube_api::api_server::ServeError;

/// Why the control plane could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory, or a file in it.
    #[error(transparent)]
    Files(#[from] store::OpenError),
    /// The file of the audit log cannot be written.
    #[error("the audit log {} cannot be written ({why}): mend that, or name another file with --audit-log", path.display())]
    AuditLog {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The API's address cannot be taken.
    #[error("the API cannot listen at {address} ({why}): free it, or choose another with --api")]
    Address {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        why: String,
    },
    /// The API has no certificate.
    #[error(transparent)]
    Certificates(#[from] http_server::CertificateError),
}

/// Why the control plane ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store could not be read or written at the start.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The system has no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// The folder of the registry cannot be used.
    #[error("the registry cannot be opened: {0}")]
    Registry(String),
    /// The system gives no threads.
    #[error("threads of the API cannot be started: {0}")]
    Threads(std::io::Error),
    /// It ran already.
    #[error("the control plane was run twice: open it again to run it again")]
    RunTwice,
}

impl From<ServeError> for RunError {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Store(error) => Self::Store(error),
            ServeError::Threads(error) => Self::Threads(error),
        }
    }
}
