//! The audit log: who asked the API and the registry for what, when, and how it ended, as `Event` objects of `audit.k8s.io/v1`.
//!
//! What becomes of certificates is noted there too ([`certificates`]).
//!
//! Requests are noted at Kubernetes' level `Metadata`: nothing of a body, of a header that opens, or of an object's content is
//! written. Lines are written beside the requests, through a bounded queue: a disk that is slow or full holds no request up, and
//! what could not be written is counted and warned of.

mod certificates;
mod event;
mod file;
mod record;
mod writer;

use std::{path::PathBuf, sync::Arc, time::Duration};

use http::HeaderMap;

use crate::User;

pub use certificates::{Became, OfCertificate};
pub(crate) use event::cut;
pub use event::{Named, Reason};
pub use record::{NotNoted, record};
pub use writer::AuditLog;

/// Where the audit log is written, and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// The file that is written.
    pub path: PathBuf,
    /// It is renamed, and another one begun, before it is larger.
    pub max_bytes: u64,
    /// Renamed files that are kept; 0: all.
    pub max_backups: usize,
    /// How long they are kept; `None`: as long as there are not too many.
    pub max_age: Option<Duration>,
}

impl AuditSettings {
    /// Where the size is not said.
    pub const MAX_BYTES: u64 = 100 << 20;
    /// Where the number is not said.
    pub const MAX_BACKUPS: usize = 10;
    /// Where the age is not said.
    pub const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
}

/// Tells whose token a request shows; `None`: nobody's.
pub type WhoseToken = dyn Fn(&HeaderMap) -> Option<Arc<User>> + Send + Sync;

/// What notes requests.
#[derive(Clone)]
pub struct Auditing {
    /// Where they are noted.
    pub log: Arc<AuditLog>,
    /// Whose they are.
    pub user: Arc<WhoseToken>,
}
