//! A request's way to a replica and its answer's way back: the same from a socket and from inside.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use api::{Body, RequestId, ServeError, frame_answer};
use futures::future::{BoxFuture, Either, select};
use http::{Method, Request, Response};
use tokio::time::{Instant, Sleep, sleep};

use crate::{
    access::Noting,
    balance::{AcquireError, Measured, Permit, Replica, Service, Tried},
    body::{BodyLimits, BodyVerdict, BodyWatch, Tracked},
    refusal::{Reason, Refusal},
    retry::{NotTaken, Sending},
    rewrite::strip_response,
    shared::Shared,
};

/// Replicas that are asked for one request, the first included.
const MAX_TRIES: u32 = 5;

/// The wait before a replica that refused is asked again because there is no other: this, times the tries so far.
const REFUSED_BACKOFF: Duration = Duration::from_millis(20);

/// The replica keeps the request deadline itself. If it fails to, the gateway answers so much later.
const DEADLINE_GRACE: Duration = Duration::from_secs(1);

/// Sends a request to a replica of `service`. Refusals are counted, and are answers too.
pub(crate) async fn forward(
    shared: &Shared,
    service: Arc<Service>,
    request: Request<Body>,
    watch: Option<Arc<BodyWatch>>,
    (id, mut noting): (RequestId, Option<Box<Noting>>),
) -> Response<Tracked> {
    if let Some(noting) = &mut noting {
        noting.is_for(service.key(), id);
    }
    let mut measured = Measured::arrival(service);
    let method = request.method().clone();
    let outcome = match first_permit(shared, &mut measured).await {
        Ok(permit) => attempt(shared, measured.service(), permit, &method, request, watch, &mut noting).await,
        Err(refusal) => Err(refusal),
    };
    match outcome {
        Ok((response, permit)) => {
            if response.status().is_server_error() {
                measured.failed();
            }
            if let Some(noting) = &mut noting {
                noting.answered(response.status());
            }
            response.map(|body| Tracked::new(body, measured, Some(permit)).noted(noting))
        }
        Err(refusal) => {
            let (service, reason) = (measured.service().key(), refusal.reason.as_str());
            tracing::info!(request = %id, %service, reason, "{}", refusal.message);
            if refusal.reason.status().is_server_error() {
                measured.failed();
            }
            refusal.give(shared, &method, id, noting).map(|body| body.measured(measured))
        }
    }
}

/// A permit for a request that has just arrived; with how long it waited, it is measured.
async fn first_permit(shared: &Shared, measured: &mut Measured) -> Result<Permit, Refusal> {
    if let Some(permit) = measured.service().try_acquire() {
        measured.taken_at_once();
        return Ok(permit);
    }
    let permit = wait_for_permit(shared, measured.service()).await?;
    measured.taken_now();
    Ok(permit)
}

async fn attempt(
    shared: &Shared,
    service: &Arc<Service>,
    mut permit: Permit,
    method: &Method,
    request: Request<Body>,
    watch: Option<Arc<BodyWatch>>,
    noting: &mut Option<Box<Noting>>,
) -> Result<(Response<Body>, Permit), Refusal> {
    let mut sending = Sending::new(request, shared.config.replay_body_bytes);
    let mut tried = Tried::new();
    let mut crowded = None;
    service.retries.deposit();
    loop {
        let replica = permit.replica();
        if let Some(noting) = noting {
            noting.sent_to(replica.name());
        }
        let why = match ask(replica, &mut sending, &watch).await {
            Outcome::Answered(Ok(mut response)) => {
                strip_response(response.headers_mut());
                frame_answer(&mut response, method);
                return Ok((response, permit));
            }
            Outcome::Answered(Err(error)) => match sending.again_after(error).map_err(refusal_of)? {
                NotTaken::Refused(why) => why,
                NotTaken::Busy => {
                    permit = room(shared, service, permit, &mut crowded).await?;
                    continue;
                }
            },
            Outcome::Lost => "its worker does not answer any more".to_owned(),
            Outcome::CutOff(verdict) => return Err(cut_off(verdict, &body_limits(shared))),
            Outcome::TooLate(deadline) => return Err(refusal_of(ServeError::DeadlineExceeded { deadline })),
        };
        replica.rest();
        tried.push(replica.clone());
        drop(permit);
        permit = another(shared, service, &tried, &why).await?;
    }
}

/// Hands the request to a replica.
async fn ask(replica: &Replica, sending: &mut Sending, watch: &Option<Arc<BodyWatch>>) -> Outcome {
    let serve = replica.serve();
    let Some(request) = sending.next(serve.is_remote()) else {
        let why = "the request was lost on its way".to_owned();
        return Outcome::Answered(Err(ServeError::Unreachable { why }));
    };
    let serving = Serving {
        answer: serve.serve(request),
        watch: watch.clone(),
        backstop: None,
        deadline: replica.request_deadline(),
    };
    if !sending.survives_loss() {
        return serving.await;
    }
    let mut serving = pin!(serving);
    // Most answer at once: what tells of a loss is made for those that do not.
    if let Poll::Ready(outcome) = futures::poll!(serving.as_mut()) {
        return outcome;
    }
    match select(serving, serve.lost()).await {
        Either::Left((outcome, _)) => outcome,
        // The body may have passed what is kept by now: then this replica alone can answer.
        Either::Right(((), serving)) if !sending.survives_loss() => serving.await,
        Either::Right(_) => Outcome::Lost,
    }
}

/// A permit for a request for which a replica had no room, though there is some by what this gateway has sent there: others
/// send to it too. It is for another that is free, or for the same a little later; the place there is kept meanwhile, so that those
/// who wait in line do not all try the same. It waits as long as they do, in all.
async fn room(
    shared: &Shared,
    service: &Arc<Service>,
    permit: Permit,
    crowded: &mut Option<Crowded>,
) -> Result<Permit, Refusal> {
    permit.replica().is_full();
    let crowded = crowded.get_or_insert_with(|| Crowded { since: Instant::now(), times: 0 });
    let waited = crowded.since.elapsed();
    if waited > shared.waits().all_busy {
        let message = all_busy(service, waited);
        return Err(Refusal::new(Reason::AllReplicasBusy, message));
    }
    if let Some(other) = service.acquire_rested() {
        return Ok(other);
    }
    crowded.times = (crowded.times + 1).min(MAX_TRIES);
    sleep(REFUSED_BACKOFF * crowded.times).await;
    Ok(service.acquire_rested().unwrap_or(permit))
}

/// Since when, and how often, there was no room for a request that was sent.
struct Crowded {
    since: Instant,
    times: u32,
}

/// A permit of another replica, if one may be asked.
async fn another(shared: &Shared, service: &Arc<Service>, tried: &Tried, why: &str) -> Result<Permit, Refusal> {
    let key = service.key();
    if tried.len() as u32 >= MAX_TRIES {
        let message = format!("{MAX_TRIES} replicas of service {key} refused; the last: {why}");
        return Err(Refusal::new(Reason::ReplicasRefused, message));
    }
    if !service.retries.withdraw() {
        let message =
            format!("a replica of service {key} did not take the request ({why}), and too many were sent again");
        return Err(Refusal::new(Reason::ReplicasRefused, message));
    }
    match service.acquire_other(tried) {
        Some(permit) => Ok(permit),
        None => {
            sleep(REFUSED_BACKOFF * tried.len() as u32).await;
            acquire(shared, service).await
        }
    }
}

async fn acquire(shared: &Shared, service: &Arc<Service>) -> Result<Permit, Refusal> {
    match service.try_acquire() {
        Some(permit) => Ok(permit),
        None => wait_for_permit(shared, service).await,
    }
}

fn all_busy(service: &Service, waited: Duration) -> String {
    format!(
        "all replicas of service {} were busy for {} ms: it needs more replicas, or ones that take more at a time \
         (sampan.dev/concurrency)",
        service.key(),
        waited.as_millis()
    )
}

async fn wait_for_permit(shared: &Shared, service: &Arc<Service>) -> Result<Permit, Refusal> {
    let key = service.key();
    let acquired = service.acquire(shared.waits(), || shared.wake(service)).await;
    acquired.map_err(|error| match error {
        AcquireError::QueueFull => {
            let limit = shared.config.queue_limit;
            let message = format!("all replicas of service {key} are busy, and {limit} requests wait already");
            Refusal::new(Reason::QueueFull, message)
        }
        AcquireError::AllBusy { waited } => {
            let message = all_busy(service, waited);
            Refusal::new(Reason::AllReplicasBusy, message)
        }
        AcquireError::NoEndpoints { waited, reason } => {
            let why = reason.unwrap_or_else(|| format!("none started within {} ms", waited.as_millis()));
            Refusal::new(Reason::NoReplica, format!("service {key} has no replica that is ready: {why}"))
        }
    })
}

pub(crate) fn body_limits(shared: &Shared) -> BodyLimits {
    let config = &shared.config;
    BodyLimits { bytes: config.max_body_bytes, idle: config.body_idle_timeout, total: config.request_body_timeout }
}

/// The answer to a request whose body passed a limit.
pub(crate) fn cut_off(verdict: BodyVerdict, limits: &BodyLimits) -> Refusal {
    match verdict {
        BodyVerdict::TooLarge => {
            let message = format!("the request's body is larger than the limit of {} bytes", limits.bytes);
            Refusal::new(Reason::RequestBodyTooLarge, message)
        }
        BodyVerdict::Stalled => {
            let (idle, total) = (limits.idle.as_millis(), limits.total.as_millis());
            let message = format!("the request's body stalled for {idle} ms, or took longer than {total} ms");
            Refusal::new(Reason::RequestBodyStalled, message)
        }
    }
}

fn refusal_of(error: ServeError) -> Refusal {
    let reason = match &error {
        ServeError::Refused { .. } | ServeError::Declined { .. } | ServeError::Busy { .. } => Reason::ReplicasRefused,
        ServeError::Trapped { .. } => Reason::GuestTrapped,
        ServeError::OutOfMemory { .. } => Reason::GuestOutOfMemory,
        ServeError::DeadlineExceeded { .. } => Reason::DeadlineExceeded,
        ServeError::BadRequest { .. } => Reason::BadRequest,
        ServeError::Unreachable { .. } => Reason::ReplicaUnreachable,
    };
    Refusal::new(reason, error.to_string())
}

/// A replica at work on a request. Timers are set only if it does not answer at once.
struct Serving {
    answer: BoxFuture<'static, Result<Response<Body>, ServeError>>,
    watch: Option<Arc<BodyWatch>>,
    backstop: Option<Pin<Box<Sleep>>>,
    deadline: Duration,
}

enum Outcome {
    Answered(Result<Response<Body>, ServeError>),
    CutOff(BodyVerdict),
    TooLate(Duration),
    /// The replica's worker does not answer, and another may be asked.
    Lost,
}

impl Future for Serving {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        let answer = this.answer.as_mut().poll(cx);
        // Looked at second: what the guest makes of a body that was cut off is not the answer.
        if let Some(Poll::Ready(verdict)) = this.watch.as_ref().map(|watch| watch.poll_verdict(cx)) {
            return Poll::Ready(Outcome::CutOff(verdict));
        }
        if let Poll::Ready(answer) = answer {
            return Poll::Ready(Outcome::Answered(answer));
        }
        let patience = this.deadline.saturating_add(DEADLINE_GRACE);
        let backstop = this.backstop.get_or_insert_with(|| Box::pin(sleep(patience)));
        backstop.as_mut().poll(cx).map(|()| Outcome::TooLate(this.deadline))
    }
}
