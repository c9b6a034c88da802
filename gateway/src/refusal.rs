//! The answers that the gateway gives itself: each a status, a reason for machines and a message for people.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use api::RequestId;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use crate::{access::Noting, body::Tracked, shared::Shared, signpost::Signpost};

/// What `Retry-After` says, in seconds.
pub(crate) const RETRY_AFTER_SECONDS: &str = "1";

/// Names the request in an answer of the gateway's own.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a page of the gateway's own may do: nothing but look as it does.
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident => $status:ident,)*) => {
        /// Why the gateway, not a guest, answered a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason { $($(#[doc = $doc])* $name,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The status that goes with it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// As it stands in the answer.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

reasons! {
    /// The request makes no sense: no host, or what the guest cannot be given.
    BadRequest => BAD_REQUEST,
    /// No Service and no rule names the host.
    UnknownHost => NOT_FOUND,
    /// The host has rules, none for the path.
    NoRuleForPath => NOT_FOUND,
    /// A NetworkPolicy keeps requests from outside off the Service.
    PolicyDenied => FORBIDDEN,
    /// The client was silent, or too slow, while it sent the body.
    RequestBodyStalled => REQUEST_TIMEOUT,
    /// The body is larger than the limit.
    RequestBodyTooLarge => PAYLOAD_TOO_LARGE,
    /// The head is larger than the limit.
    HeadTooLarge => REQUEST_HEADER_FIELDS_TOO_LARGE,
    /// It is a version of HTTP that is not spoken.
    VersionUnsupported => HTTP_VERSION_NOT_SUPPORTED,
    /// The body has a transfer coding other than chunked framing.
    CodingUnsupported => NOT_IMPLEMENTED,
    /// A CONNECT, or a WebSocket.
    UpgradeUnsupported => NOT_IMPLEMENTED,
    /// The guest trapped, or ended without an answer.
    GuestTrapped => BAD_GATEWAY,
    /// The guest reached its memory limit.
    GuestOutOfMemory => BAD_GATEWAY,
    /// The replica could not be reached.
    ReplicaUnreachable => BAD_GATEWAY,
    /// The control plane has not said yet which Services and rules there are.
    RoutesUnknown => SERVICE_UNAVAILABLE,
    /// The rule names a Service that does not exist.
    NoSuchService => SERVICE_UNAVAILABLE,
    /// No replica is ready, and none became so in time.
    NoReplica => SERVICE_UNAVAILABLE,
    /// All replicas were busy for the whole wait.
    AllReplicasBusy => SERVICE_UNAVAILABLE,
    /// All replicas are busy, and so many requests wait already that no more may.
    QueueFull => SERVICE_UNAVAILABLE,
    /// The listener has as many connections as it may.
    TooManyConnections => SERVICE_UNAVAILABLE,
    /// The address that the connection comes from has as many as it may.
    TooManyFromSource => SERVICE_UNAVAILABLE,
    /// The process has as many descriptors as connections may take.
    TooFewDescriptors => SERVICE_UNAVAILABLE,
    /// Memory is short.
    Overloaded => SERVICE_UNAVAILABLE,
    /// Each replica that was tried refused.
    ReplicasRefused => SERVICE_UNAVAILABLE,
    /// The guest did not answer in time.
    DeadlineExceeded => GATEWAY_TIMEOUT,
    /// Services call each other in a circle.
    CallLoop => LOOP_DETECTED,
}

/// A request that the gateway answers itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    /// What does answer, for who may know.
    pub(crate) signpost: Option<Box<Signpost>>,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), signpost: None }
    }

    /// The body of the answer.
    pub(crate) fn text(&self, request: Option<RequestId>) -> String {
        let (status, reason) = (self.reason.status().as_u16(), self.reason.as_str());
        let mut text = json!({"error": {"status": status, "reason": reason, "message": self.message}});
        if let Some(request) = request {
            text["error"]["request"] = json!(request.as_str());
        }
        if let Some(Signpost::Answering(answering)) = self.signpost.as_deref()
            && !answering.is_empty()
        {
            text["answering"] = json!(answering);
        }
        text.to_string()
    }

    /// Answers a request of this method, which is known by this name elsewhere. It is counted, and told to who looks on.
    pub(crate) fn give(
        &self,
        shared: &Shared,
        method: &Method,
        request: RequestId,
        mut noting: Option<Box<Noting>>,
    ) -> Response<Tracked> {
        shared.refusals.count(self.reason);
        if let Some(noting) = &mut noting {
            noting.refused(self, request);
        }
        self.answer(method, request).map(|body| body.noted(noting))
    }

    fn answer(&self, method: &Method, request: RequestId) -> Response<Tracked> {
        let status = self.reason.status();
        let (text, kind) = match self.signpost.as_deref() {
            Some(Signpost::Page(page)) => (page.clone(), "text/html; charset=utf-8"),
            Some(Signpost::Answering(_)) | None => (self.text(Some(request)), "application/json"),
        };
        let mut response = Response::new(api::full_body(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Ok(request) = HeaderValue::from_str(request.as_str()) {
            headers.insert(REQUEST_ID, request);
        }
        if self.signpost.is_some() {
            // It depends on who asks, and is for nobody else to frame or keep.
            headers.insert(header::VARY, HeaderValue::from_static("accept"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        api::frame_answer(&mut response, method);
        response.map(Tracked::untracked)
    }
}

/// How often each [`Reason`] was given.
#[derive(Default)]
pub(crate) struct RefusalCounts([AtomicU64; Reason::ALL.len()]);

impl RefusalCounts {
    pub(crate) fn count(&self, reason: Reason) {
        self.0[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Vec<(Reason, u64)> {
        Reason::ALL.iter().zip(&self.0).map(|(reason, count)| (*reason, count.load(Relaxed))).collect()
    }
}
