//! What travels beside a request, in headers that clients cannot set: the gateway removes every `x-sampan-` header of
//! theirs, and workers take requests from gateways alone.

use std::time::Duration;

use api::{Deadline, ObjectKey, ReplicaId, ServeError};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

/// The replica that was chosen, as `NAMESPACE/NAME`.
pub(super) const REPLICA: HeaderName = HeaderName::from_static("x-sampan-replica");
/// What is left of the request's time, in milliseconds.
pub(super) const DEADLINE: HeaderName = HeaderName::from_static("x-sampan-deadline-ms");
/// In an answer: it is no guest's, but says which way the request failed. The body says why.
pub(super) const FAILURE: HeaderName = HeaderName::from_static("x-sampan-failure");
/// A request to the worker itself, answered at once: it is alive.
pub(super) const PING: HeaderName = HeaderName::from_static("x-sampan-ping");

/// Bytes of an answer's body that say why a request failed.
pub(super) const MAX_WHY_BYTES: usize = 4096;

pub(super) fn replica(id: &ReplicaId) -> HeaderValue {
    HeaderValue::from_str(&id.to_string()).expect("names of replicas are DNS names")
}

pub(super) fn parse_replica(value: &HeaderValue) -> Option<ReplicaId> {
    let (namespace, name) = value.to_str().ok()?.split_once('/')?;
    Some(ReplicaId(ObjectKey::new(namespace, name)))
}

pub(super) fn deadline(span: Duration) -> HeaderValue {
    HeaderValue::from(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn parse_deadline(headers: &HeaderMap) -> Option<Deadline> {
    let millis = headers.get(DEADLINE)?.to_str().ok()?.parse().ok()?;
    Some(Deadline(Duration::from_millis(millis)))
}

/// The amount of a request that was declined for want of room.
const BUSY: u64 = 1;

/// An error of a replica as an answer on the wire.
pub(super) fn failure(error: &ServeError) -> Response<String> {
    let (kind, amount) = match error {
        ServeError::Refused { .. } | ServeError::Declined { .. } => ("declined", 0),
        // Who does not know the amount takes it for another one that was declined.
        ServeError::Busy { .. } => ("declined", BUSY),
        ServeError::Trapped { .. } => ("trapped", 0),
        ServeError::OutOfMemory { limit_bytes } => ("out-of-memory", *limit_bytes),
        ServeError::DeadlineExceeded { deadline } => ("deadline", deadline.as_millis() as u64),
        ServeError::BadRequest { .. } => ("bad-request", 0),
        ServeError::Unreachable { .. } => ("unreachable", 0),
    };
    let mut why = error.to_string();
    let cut = (0..=MAX_WHY_BYTES.min(why.len())).rev().find(|at| why.is_char_boundary(*at)).unwrap_or(0);
    why.truncate(cut);
    let mut response = Response::new(why);
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    let value = HeaderValue::from_str(&format!("{kind} {amount}")).expect("words and digits");
    response.headers_mut().insert(FAILURE, value);
    response
}

/// The error that an answer on the wire stands for.
pub(super) fn parse_failure(value: &HeaderValue, why: String) -> ServeError {
    let (kind, amount) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or(("", ""));
    let amount = amount.parse().unwrap_or(0);
    match kind {
        "declined" if amount == BUSY => ServeError::Busy { request: None, why },
        "declined" => ServeError::Declined { why },
        "trapped" => ServeError::Trapped { reason: why },
        "out-of-memory" => ServeError::OutOfMemory { limit_bytes: amount },
        "deadline" => ServeError::DeadlineExceeded { deadline: Duration::from_millis(amount) },
        "bad-request" => ServeError::BadRequest { why },
        _ => ServeError::Unreachable { why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_come_over_the_wire_as_what_they_were() {
        let second = Duration::from_secs(1);
        let failures = [
            ServeError::Declined { why: "draining".into() },
            ServeError::Busy { request: None, why: "full".into() },
            ServeError::Trapped { reason: "unreachable".into() },
            ServeError::OutOfMemory { limit_bytes: 7 },
            ServeError::DeadlineExceeded { deadline: second },
            ServeError::BadRequest { why: "no".into() },
            ServeError::Unreachable { why: "gone".into() },
        ];
        for error in failures {
            let sent = failure(&error);
            let received = parse_failure(&sent.headers()[FAILURE], sent.body().clone());
            assert_eq!(std::mem::discriminant(&received), std::mem::discriminant(&error));
        }
        let limit = parse_failure(&HeaderValue::from_static("out-of-memory 7"), String::new());
        assert!(matches!(limit, ServeError::OutOfMemory { limit_bytes: 7 }));
    }
}
