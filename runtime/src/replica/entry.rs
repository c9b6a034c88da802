//! The way into a replica of this process, and what counts who is in.

use std::sync::{Arc, Weak};

use api::{Body, Deadline, Serve, ServeError};
use futures::future::{BoxFuture, ready};
use http::{Request, Response};

use super::{Replica, admission::NoEntry, serving::Serving, turn::Turn};
use crate::engine::Ticking;

/// The way to a replica in this process. Who has it keeps nothing of a replica that is gone.
pub(super) struct LocalReplica(Weak<Replica>);

impl LocalReplica {
    pub(super) fn of(replica: &Arc<Replica>) -> Self {
        Self(Arc::downgrade(replica))
    }
}

impl Serve for LocalReplica {
    fn serve(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, ServeError>> {
        let Some(replica) = self.0.upgrade() else {
            let (request, why) = (Box::new(request), "the replica is gone".to_owned());
            return Box::pin(ready(Err(ServeError::Refused { request, why })));
        };
        match Permit::take(&replica) {
            Ok(permit) => Box::pin(Serving::new(permit, request)),
            Err(NoEntry::FullOfAnswered) => Box::pin(serve_after_answered(replica, request)),
            Err(no_entry) => Box::pin(ready(Err(refused(request, no_entry)))),
        }
    }
}

/// Serves a request once a guest has ended that is still at work after its answer: whoever got that may well ask again at once.
async fn serve_after_answered(replica: Arc<Replica>, request: Request<Body>) -> Result<Response<Body>, ServeError> {
    let own = replica.spec.limits.request_deadline;
    let patience = request.extensions().get::<Deadline>().map_or(own, |Deadline(limit)| own.min(*limit));
    match tokio::time::timeout(patience, replica.admission.enter_after_answered()).await {
        Ok(Ok(())) => Serving::new(Permit::entered(&replica), request).await,
        Ok(Err(no_entry)) => Err(refused(request, no_entry)),
        Err(_) => Err(refused(request, NoEntry::Full)),
    }
}

fn refused(request: Request<Body>, no_entry: NoEntry) -> ServeError {
    let (request, why) = (Box::new(request), no_entry.why().to_owned());
    match no_entry {
        NoEntry::Stopping => ServeError::Refused { request, why },
        NoEntry::Full | NoEntry::FullOfAnswered => ServeError::Busy { request: Some(request), why },
    }
}

/// A request that was taken in: it counts until this is dropped.
pub(super) struct Permit {
    replica: Arc<Replica>,
    turn: Option<Arc<Turn>>,
    _ticking: Ticking,
}

impl Permit {
    fn take(replica: &Arc<Replica>) -> Result<Self, NoEntry> {
        replica.admission.enter()?;
        Ok(Self::entered(replica))
    }

    fn entered(replica: &Arc<Replica>) -> Self {
        let ticking = replica.host.engine.ticker.keep_ticking();
        Self { _ticking: ticking, turn: None, replica: replica.clone() }
    }

    /// The same, for this turn: its end is the turn's.
    pub(super) fn of(mut self, turn: &Arc<Turn>) -> Self {
        self.turn = Some(turn.clone());
        self
    }

    pub(super) fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.replica.admission.leave(self.turn.as_ref().is_some_and(|turn| turn.end()));
    }
}
