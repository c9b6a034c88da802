use std::{io, path::PathBuf};

use api::replica::{Failure, FailureReason};
use registry_client::ImageError;

/// Why a worker cannot work at all.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The directory of compiled components cannot be used.
    #[error("cannot {action} {}: {source}; {}", .path.display(), way_out(source))]
    Cache {
        /// What was tried, a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The engine cannot be made with these limits on this machine.
    #[error("the WebAssembly engine cannot start: {0:#}; lower `max_instances` or free address space")]
    Engine(wasmtime::Error),
    /// A thread or a runtime cannot be started.
    #[error("cannot start {what}: {source}")]
    Threads {
        /// Which threads.
        what: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why one replica cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Who opens artifacts says why there is none.
    #[error("{}", .0.message)]
    Artifact(Failure),
    #[error("image `{image}` cannot be compiled: {why}")]
    Compile { image: String, why: String },
    #[error("image `{image}`: a component of {bytes} bytes is larger than the limit of {limit_bytes} bytes")]
    TooLarge { image: String, bytes: u64, limit_bytes: u64 },
    #[error(
        "image `{image}` imports {}; `sampan inspect {image}` shows all of them",
        crate::capabilities::refuse_imports(.imports, None).unwrap_or_default()
    )]
    UnknownImports { image: String, imports: Vec<String> },
    #[error(
        "image `{image}` imports {}, but no key-value store is granted: add the annotation `{}: NAME` to the pod template",
        quoted(.imports), api::annotations::KEY_VALUE
    )]
    KeyValueNotGranted { image: String, imports: Vec<String> },
    #[error("image `{image}` does not fit what Sampan offers: {why}")]
    Link { image: String, why: String },
    #[error(transparent)]
    Grant(#[from] api::outbound::InvalidGrant),
    #[error(
        "the environment of {bytes} bytes is larger than the limit of {limit_bytes} bytes: leave out of `env` and `envFrom` what the \
         guest does not read"
    )]
    Environment { bytes: usize, limit_bytes: usize },
    #[error(
        "image `{image}` does not fit into its memory limit of {limit_bytes} bytes: an instance of it takes at least \
         {needed_bytes} bytes; raise `resources.limits.memory`"
    )]
    OutOfMemory { image: String, limit_bytes: u64, needed_bytes: u64 },
    #[error("image `{image}` fails as soon as it is instantiated: {why}")]
    Instantiate { image: String, why: String },
    #[error("the cache of compiled components failed: {0}")]
    Cache(String),
}

impl StartError {
    /// How the API shows it.
    pub(crate) fn into_failure(self) -> Failure {
        if let Self::Artifact(failure) = self {
            return failure;
        }
        let reason = match &self {
            Self::Image(ImageError::Unsupported { .. } | ImageError::NotAComponent { .. }) => {
                FailureReason::InvalidImage
            }
            Self::Image(_) => FailureReason::ErrImagePull,
            Self::KeyValueNotGranted { .. } | Self::Grant(_) | Self::Environment { .. } => {
                FailureReason::CreateContainerConfigError
            }
            Self::OutOfMemory { .. } => FailureReason::OomKilled,
            Self::Instantiate { .. } | Self::Cache(_) => FailureReason::Error,
            _ => FailureReason::InvalidImage,
        };
        let message = match &self {
            Self::Image(error) => {
                tracing::warn!(%error, "a replica cannot start");
                error.without_path().into_owned()
            }
            _ => self.to_string(),
        };
        Failure { reason, message }
    }
}

/// What to do when the cache cannot be used.
fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space on its disk and start again",
        _ => "the directory must be writable and belong to this user",
    }
}

fn quoted(names: &[String]) -> String {
    format!("`{}`", names.join("`, `"))
}
