//! Requests as they end, told to who looks on. Without one, a request costs nothing for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use api::{ObjectKey, RequestId};
use http::{Method, Request, StatusCode};
use tokio::sync::mpsc;

use crate::{refusal::Refusal, shared::Shared};

/// Requests that wait to be shown; beyond, they are counted alone.
const QUEUE: usize = 1024;
/// Of a path, so many bytes are told.
const PATH_BYTES: usize = 120;

/// A request that has ended.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Its method.
    pub method: Method,
    /// Its path, without the query, or the beginning of it.
    pub path: String,
    /// What it was answered; `None`: whoever asked left before.
    pub status: Option<StatusCode>,
    /// From its arrival to the end of its answer.
    pub took: Duration,
    /// The Service that it was for.
    pub service: Option<ObjectKey>,
    /// The replica that it was sent to last.
    pub replica: Option<String>,
    /// By which it is known elsewhere; `None`: whoever asked left before it was read.
    pub request: Option<RequestId>,
    /// Why a guest's answer is not what it got, or not the whole of it.
    pub why: Option<String>,
}

/// Where requests are told as they end. Whoever does not keep up is told of fewer, and how many were left out.
#[derive(Debug, Clone)]
pub struct AccessLog {
    to: mpsc::Sender<Access>,
    missed: Arc<AtomicU64>,
}

/// Who is told.
#[derive(Debug)]
pub struct AccessReader {
    from: mpsc::Receiver<Access>,
    missed: Arc<AtomicU64>,
}

impl AccessLog {
    /// A log, and its reader.
    pub fn new() -> (Self, AccessReader) {
        let (to, from) = mpsc::channel(QUEUE);
        let missed = Arc::<AtomicU64>::default();
        (Self { to, missed: missed.clone() }, AccessReader { from, missed })
    }
}

impl AccessReader {
    /// The next request that ended; `None`: there is no gateway any more.
    pub async fn next(&mut self) -> Option<Access> {
        self.from.recv().await
    }

    /// How many were left out since this was asked last.
    pub fn missed(&self) -> u64 {
        self.missed.swap(0, Relaxed)
    }
}

/// A request from its arrival until this is dropped, which tells of it.
pub(crate) struct Noting {
    log: AccessLog,
    began: Instant,
    access: Access,
}

impl Noting {
    /// Begins, if somebody looks on.
    pub(crate) fn begin<B>(shared: &Shared, request: &Request<B>) -> Option<Box<Self>> {
        let log = shared.config.access_log.clone()?;
        let path = request.uri().path();
        let access = Access {
            method: request.method().clone(),
            path: path[..path.floor_char_boundary(PATH_BYTES)].to_owned(),
            ..Access::default()
        };
        Some(Box::new(Self { log, began: Instant::now(), access }))
    }

    /// It is for this Service, and known by this name.
    pub(crate) fn is_for(&mut self, service: &ObjectKey, request: RequestId) {
        self.access.service = Some(service.clone());
        self.access.request = Some(request);
    }

    /// It is sent to this replica.
    pub(crate) fn sent_to(&mut self, replica: &str) {
        self.access.replica = Some(replica.to_owned());
    }

    /// It is answered so.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.access.status = Some(status);
    }

    /// The gateway answers it, which is known by this name.
    pub(crate) fn refused(&mut self, refusal: &Refusal, request: RequestId) {
        self.access.request = Some(request);
        self.access.status = Some(refusal.reason.status());
        self.access.why = Some(format!("{}: {}", refusal.reason.as_str(), refusal.message));
    }

    /// Its answer broke off.
    pub(crate) fn broke_off(&mut self, why: &dyn std::fmt::Display) {
        self.access.why = Some(format!("the answer broke off: {why}"));
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        let access = Access { took: self.began.elapsed(), ..std::mem::take(&mut self.access) };
        if self.log.to.try_send(access).is_err() {
            self.log.missed.fetch_add(1, Relaxed);
        }
    }
}
