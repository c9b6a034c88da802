use std::sync::Arc;

use api::{Body, ServeError};
use http::{HeaderMap, Method, Request, Uri, Version, request::Parts};
use http_body::Body as _;
use http_body_util::BodyExt;
use parking_lot::Mutex;

use super::kept::{Copy, KeptBody};

/// A request on its way to one replica after the other. A copy is kept only for those in other processes: one here hands
/// back what it does not take.
pub(crate) struct Sending {
    state: State,
    idempotent: bool,
    limit_bytes: usize,
}

/// Why a replica did not take a request that may go to another.
pub(crate) enum NotTaken {
    /// It does not take it, for this reason.
    Refused(String),
    /// It has no room at the moment.
    Busy,
}

enum State {
    /// As it came, or was handed back.
    Here(Request<Body>),
    /// It went to a replica in another process, and this is kept of it.
    Kept { method: Method, version: Version, uri: Uri, headers: HeaderMap, body: Option<Arc<Mutex<KeptBody>>> },
    /// It is with a replica of this process, or is no more.
    Gone,
}

impl Sending {
    pub(crate) fn new(request: Request<Body>, limit_bytes: usize) -> Self {
        // RFC 9110, section 9.2.2: these may be sent again when it is not known what became of the first.
        let idempotent = matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE
        );
        Self { state: State::Here(request), idempotent, limit_bytes }
    }

    /// Whether another replica may be asked if this one is lost with the request.
    pub(crate) fn survives_loss(&self) -> bool {
        self.idempotent && self.is_kept()
    }

    fn is_kept(&self) -> bool {
        match &self.state {
            State::Kept { body, .. } => body.as_ref().is_none_or(|body| body.lock().is_whole()),
            State::Here(_) | State::Gone => false,
        }
    }

    /// The request for the next replica; `None` if it is no more.
    pub(crate) fn next(&mut self, remote: bool) -> Option<Request<Body>> {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Here(request) if !remote => Some(request),
            State::Here(request) => {
                let (parts, body) = request.into_parts();
                let body = (!body.is_end_stream()).then(|| KeptBody::new(body, self.limit_bytes));
                let Parts { method, version, uri, headers, .. } = parts;
                self.state = State::Kept { method, version, uri, headers, body };
                self.copy()
            }
            kept @ State::Kept { .. } => {
                self.state = kept;
                self.copy()
            }
            State::Gone => None,
        }
    }

    fn copy(&self) -> Option<Request<Body>> {
        let State::Kept { method, version, uri, headers, body } = &self.state else { return None };
        let body = body.as_ref().map_or_else(api::empty_body, |body| Copy::new(body.clone()).boxed_unsync());
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.version_mut() = *version;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        Some(request)
    }

    /// What a replica did not take may go to another: answers why it did not, or the error that is the answer.
    pub(crate) fn again_after(&mut self, error: ServeError) -> Result<NotTaken, ServeError> {
        match error {
            ServeError::Refused { request, why } => {
                self.take_back(*request);
                Ok(NotTaken::Refused(why))
            }
            ServeError::Busy { request: Some(request), .. } => {
                self.take_back(*request);
                Ok(NotTaken::Busy)
            }
            ServeError::Busy { request: None, .. } if self.is_kept() => Ok(NotTaken::Busy),
            ServeError::Declined { why } if self.is_kept() => Ok(NotTaken::Refused(why)),
            ServeError::Unreachable { why } if self.survives_loss() => Ok(NotTaken::Refused(why)),
            error => Err(error),
        }
    }

    fn take_back(&mut self, request: Request<Body>) {
        // A copy that comes back is worth less than what is kept.
        if matches!(self.state, State::Gone) {
            self.state = State::Here(request);
        }
    }
}
