//! What a replica wrote, as `kubectl logs` reads it.

use std::convert::Infallible;

use api::{ObjectKey, ReplicaId, Timestamp, replica::LogLine};
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, future, stream};
use http::{HeaderValue, Response, header};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::logs::{Follow, LogItem, LogQuery, PodLogs};

use super::{error::ApiError, objects::Objects, params::Params, path::Target};

impl Objects {
    /// Streams the log of a Pod. The permit is held as long as it lasts.
    pub(super) async fn pod_log(
        &self,
        target: &Target,
        params: &Params,
        logs: &dyn PodLogs,
        permit: OwnedSemaphorePermit,
        shutdown: CancellationToken,
    ) -> Result<Response<Body>, ApiError> {
        let pod = self.get(target).await?.object;
        check_container(&pod, params)?;
        check_started(&pod)?;
        let query = query_of(params)?;
        let namespace = target.namespace.as_deref().unwrap_or_default();
        let id = ReplicaId(ObjectKey::new(namespace, target.name()));
        let lines = logs.open(&id, query).map_or_else(|| stream::empty().boxed(), StreamExt::boxed);
        let timestamps = params.timestamps();
        let mut left = params.limit_bytes()?.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        // As they were written, controls included, as Kubernetes gives them: programs read this too, and only who shows it on a
        // terminal knows that it is one. `sampan logs` escapes them there.
        let texts = lines.take_until(shutdown.cancelled_owned()).map(move |item| format_item(&item, timestamps));
        let texts = texts.scan(permit, move |_permit, mut text| {
            text.truncate(left);
            left -= text.len();
            future::ready((!text.is_empty()).then_some(Ok::<_, Infallible>(text)))
        });
        let mut response = Response::new(Body::from_stream(texts));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        Ok(response)
    }
}

fn check_container(pod: &Value, params: &Params) -> Result<(), ApiError> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    if params.previous() {
        let message =
            format!("the log of pod {name} goes on when its container is started again: leave `--previous` away");
        return Err(ApiError::BadRequest(message));
    }
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let names: Vec<_> = containers.filter_map(|container| container["name"].as_str()).collect();
    match params.container() {
        "" => Ok(()),
        container if names.contains(&container) => Ok(()),
        container => {
            let message = format!("container {container} is not valid for pod {name}: it has {}", names.join(", "));
            Err(ApiError::BadRequest(message))
        }
    }
}

/// As Kubernetes: of what never ran and cannot be started, the reason is told in place of a log.
fn check_started(pod: &Value) -> Result<(), ApiError> {
    let status = &pod["status"]["containerStatuses"][0];
    let waiting = &status["state"]["waiting"];
    let never_ran = status["restartCount"] == 0 && status["lastState"]["terminated"].is_null();
    let (Some(reason), true) = (waiting["reason"].as_str(), never_ran) else { return Ok(()) };
    let Some(message) = waiting["message"].as_str().filter(|_| reason != "NodeLost") else { return Ok(()) };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (container, name) = (text(&status["name"]), text(&pod["metadata"]["name"]));
    let why = format!("container \"{container}\" in pod \"{name}\" is waiting to start: {reason}: {message}");
    Err(ApiError::BadRequest(why))
}

fn query_of(params: &Params) -> Result<LogQuery, ApiError> {
    let since = match (params.since_seconds()?, params.since_time()) {
        (Some(seconds), _) => Some(crate::identity::now() - std::time::Duration::from_secs(seconds)),
        (None, "") => None,
        (None, text) => {
            let time: jiff::Timestamp = text.parse().map_err(|_| {
                ApiError::BadRequest(format!("sinceTime `{text}` is not a time: write it as 2026-01-31T12:00:00Z"))
            })?;
            Some(Timestamp { micros: u64::try_from(time.as_microsecond()).unwrap_or(0) })
        }
    };
    let tail = params.tail_lines()?.map(|lines| usize::try_from(lines).unwrap_or(usize::MAX));
    let follow = if params.follow() { Follow::Yes } else { Follow::No };
    Ok(LogQuery { tail, since, follow })
}

fn format_item(item: &LogItem, timestamps: bool) -> Bytes {
    let text = match item {
        LogItem::Line(LogLine { at, text, .. }) if timestamps => {
            let time =
                jiff::Timestamp::from_microsecond(i64::try_from(at.micros).unwrap_or(i64::MAX)).unwrap_or_default();
            format!("{} {text}\n", time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ"))
        }
        LogItem::Line(LogLine { text, .. }) => format!("{text}\n"),
        LogItem::Skipped(count) => format!("[{count} lines were lost: they came faster than they were read]\n"),
    };
    text.into()
}
