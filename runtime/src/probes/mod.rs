//! Startup, readiness and liveness, found out as Kubernetes does: by `httpGet`, from inside.

mod streak;

use std::sync::Arc;

use api::{Serve, ServeError, empty_body, replica::HttpProbe};
use futures::{Stream, stream};
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::{BodyExt, Limited};
use tokio::{
    runtime::Handle,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use streak::Streak;

/// The host that a probe asks for, unless its headers name one.
const PROBE_HOST: HeaderValue = HeaderValue::from_static("localhost");
const USER_AGENT: HeaderValue = HeaderValue::from_static("sampan-probe");
/// Bytes of an answer that are read: as many as Kubernetes reads.
const MAX_ANSWER_BYTES: usize = 10 << 10;
/// Kubernetes takes no shorter period either; zero would be a busy loop.
const MIN_PERIOD: std::time::Duration = std::time::Duration::from_millis(10);

/// What is found out, each time that it changes. The first item comes with the first verdict. The guest is driven by `threads`, and
/// may compute there as long as on one that serves requests.
pub(crate) fn verdicts(probe: HttpProbe, target: Arc<dyn Serve>, threads: Handle) -> impl Stream<Item = bool> + Send {
    let probe = Arc::new(probe);
    let mut ticks = interval_at(Instant::now() + probe.initial_delay, probe.period.max(MIN_PERIOD));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let streak = Streak::new(probe.success_threshold, probe.failure_threshold);
    stream::unfold((ticks, streak, probe, target, threads), |(mut ticks, mut streak, probe, target, threads)| async {
        loop {
            ticks.tick().await;
            let (asks, asked) = (probe.clone(), target.clone());
            let attempt = AbortOnDropHandle::new(threads.spawn(async move { attempt(&asks, &*asked).await }));
            // Threads that have ended say nothing about its health.
            let Ok(Some(success)) = attempt.await else { continue };
            if let Some(verdict) = streak.observe(success) {
                return Some((verdict, (ticks, streak, probe, target, threads)));
            }
        }
    })
}

/// One try. `None` if the replica was too busy to be asked, which says nothing about its health.
async fn attempt(probe: &HttpProbe, target: &dyn Serve) -> Option<bool> {
    let Some(request) = request(probe) else { return Some(false) };
    match timeout(probe.timeout, target.serve(request)).await {
        Ok(Ok(response)) => {
            let status = response.status().as_u16();
            // Read on, or a guest that still writes would find its client gone.
            let rest = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect();
            let _ = timeout(probe.timeout, rest).await;
            Some((200..400).contains(&status))
        }
        Ok(Err(ServeError::Refused { .. } | ServeError::Busy { .. })) => None,
        Ok(Err(_)) | Err(_) => Some(false),
    }
}

fn request(probe: &HttpProbe) -> Option<Request<api::Body>> {
    let path = if probe.path.is_empty() { "/" } else { probe.path.as_str() };
    let mut request = Request::get(path).body(empty_body()).ok()?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, PROBE_HOST);
    headers.insert(header::USER_AGENT, USER_AGENT);
    for (name, value) in &probe.headers {
        headers.insert(name.parse::<HeaderName>().ok()?, value.parse().ok()?);
    }
    Some(request)
}
