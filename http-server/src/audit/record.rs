//! Noting each request, from its head to the end of its answer.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http::HeaderValue;
use http_body::{Frame, SizeHint};

use super::{
    Auditing,
    event::{Asked, Named, Outcome, Reason, Stage},
    writer::{AuditLog, Entry},
};
use crate::{Impersonated, new_uid, peer::Peer};

/// Asked too often, by nobody in particular, to be worth a line.
const HEALTH: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// In the extensions of a response: one of many that are refused to the same address, and counted together.
#[derive(Debug, Clone, Copy)]
pub struct NotNoted;

/// Answers as `next` does, and notes who asked for what and how it ended.
pub async fn record(State(audit): State<Auditing>, request: Request, next: Next) -> Response {
    if HEALTH.contains(&request.uri().path().trim_end_matches('/')) {
        return next.run(request).await;
    }
    let head = (request.method(), request.uri(), request.headers());
    let source = request.extensions().get::<Peer>().map(Peer::ip);
    let asked = Arc::new(Asked::of(head, new_uid(), (audit.user)(request.headers()), source));
    if asked.is_known() {
        audit.log.note(Entry::of(&asked, Stage::RequestReceived, None));
    }
    let log = audit.log.clone();
    let early = Outcome { code: 0, reason: None, name: None, impersonated: None };
    let mut ending = Ending { log, asked, outcome: early, noted: true };
    let mut response = next.run(request).await;
    if response.extensions_mut().remove::<NotNoted>().is_some() {
        ending.noted = false;
        return response;
    }
    ending.outcome = Outcome {
        code: response.status().as_u16(),
        reason: response.extensions_mut().remove::<Reason>().map(|Reason(reason)| reason),
        name: response.extensions_mut().remove::<Named>().map(|Named(name)| name),
        impersonated: response.extensions_mut().remove::<Impersonated>().map(|Impersonated(user)| user),
    };
    if ending.asked.lasts && response.status().is_success() {
        ending.log.note(Entry::of(&ending.asked, Stage::ResponseStarted, Some(ending.outcome.clone())));
    }
    if let Ok(id) = HeaderValue::from_str(ending.asked.id()) {
        response.headers_mut().insert("audit-id", id);
    }
    response.map(|body| Body::new(Audited { body, _ending: ending }))
}

/// Notes the end of a request when it is dropped: after the answer's last byte, or when the client has left.
struct Ending {
    log: Arc<AuditLog>,
    asked: Arc<Asked>,
    outcome: Outcome,
    noted: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.noted {
            self.log.note(Entry::of(&self.asked, Stage::ResponseComplete, Some(self.outcome.clone())));
        }
    }
}

/// The body of an answer whose end is noted.
struct Audited {
    body: Body,
    _ending: Ending,
}

impl http_body::Body for Audited {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
