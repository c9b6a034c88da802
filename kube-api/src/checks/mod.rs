//! Pods that users make themselves. Nothing of their image runs; each asks one URL of a Service once, as the tests of charts do
//! with `wget` and `curl`, and is then done: succeeded or failed, with a log of what was answered.

mod command;
mod rules;
mod status;

use std::{sync::Arc, time::Duration};

use api::{
    ClusterHttp, ObjectKey, ReplicaId, empty_body,
    replica::{LogLine, LogSource},
};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    identity::{now, pod_uid},
    logs::PodLogs,
};

pub(crate) use command::{Check, problems};
pub(crate) use rules::CHECK;
pub(crate) use status::finished;

/// Such Pods at the same time, those that are done and not deleted counting too.
pub(crate) const MAX_CHECKS: usize = 256;
/// Bytes of an answer that go into the log.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Lines of an answer that go into the log.
const MAX_ANSWER_LINES: usize = 200;
/// How long an answer is waited for, unless the command says it.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time that a command may wait for an answer.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);
const USER_AGENT: HeaderValue = HeaderValue::from_static("sampan-check");

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// As the program would have ended: 0 is success.
    pub(crate) exit_code: u8,
    /// What to say of it in one sentence.
    pub(crate) message: String,
}

/// Asks what a check asks for a Pod, and writes into the Pod's log what came of it.
pub(crate) async fn run(check: &Check, pod: &ObjectKey, cluster: &Arc<dyn ClusterHttp>, logs: &dyn PodLogs) -> Outcome {
    let id = ReplicaId(pod.clone());
    logs.announce(&id);
    let write = |text: &str| {
        let line = |text: &str| LogLine { at: now(), source: LogSource::Stdout, text: text.to_owned() };
        logs.append(&id, text.lines().take(MAX_ANSWER_LINES).map(line).collect(), now());
    };
    let outcome = match timeout(check.timeout, ask(check, pod, cluster)).await {
        Err(_) => Outcome { exit_code: 1, message: format!("{}: no answer within {:?}", check.url(), check.timeout) },
        Ok(Err(why)) => Outcome { exit_code: 1, message: format!("{}: {why}", check.url()) },
        Ok(Ok((status, answer))) => {
            write(&answer);
            let failed = check.fails_by_status && status >= 400;
            Outcome { exit_code: u8::from(failed), message: format!("{}: the answer is {status}", check.url()) }
        }
    };
    write(&outcome.message);
    logs.retire(&id, now());
    outcome
}

async fn ask(check: &Check, pod: &ObjectKey, cluster: &Arc<dyn ClusterHttp>) -> Result<(u16, String), String> {
    let service = cluster.resolve(&pod.namespace, &check.host);
    let service = service.ok_or_else(|| format!("`{}` is not the name of a Service", check.host))?;
    let mut request = Request::builder().method(check.method.clone()).uri(&check.path);
    request = request.header(header::HOST, &check.host).header(header::USER_AGENT, USER_AGENT);
    let request = request.body(empty_body()).map_err(|error| error.to_string())?;
    let response = cluster.call(pod, service, check.port, request).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
    let text = body.map_or_else(
        |error| format!("[the answer was not read to its end: {error}]"),
        |body| String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    );
    Ok((status, text))
}

/// Whether a Pod was made by a user: those of replicas have an identity that follows from their names.
pub(crate) fn is_check(pod: &Value) -> bool {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    text("uid") != pod_uid(&ReplicaId(ObjectKey::new(text("namespace"), text("name"))))
}
