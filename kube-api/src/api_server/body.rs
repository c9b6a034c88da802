use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use crate::notation::{self, Unreadable};

use super::{error::ApiError, heavy::Heavy, protobuf, strictness::Strictness};

/// Largest body of a request: twice the largest stored object, as patches may name each field twice.
pub(super) const MAX_BODY_BYTES: usize = 2 << 20;
/// A body up to this size is read and parsed at once; a larger one waits for a place, and is parsed beside the runtime.
pub(super) const SMALL_BODY_BYTES: usize = 64 << 10;
/// For all of a body to come, as in Kubernetes.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Media types of YAML. Its parser bounds depth and repetition, as the one of JSON bounds depth.
const YAML: [&str; 3] = ["application/yaml", APPLY, "text/yaml"];
/// The media type of server-side apply.
pub(super) const APPLY: &str = "application/apply-patch+yaml";

/// A request's body, whole.
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    /// The place of a large one, as long as it is in memory.
    pub(super) large: Option<OwnedSemaphorePermit>,
}

/// Reads a request's body to its end. One that is large waits for a place.
pub(super) async fn read(body: Body, heavy: &Heavy) -> Result<Whole, ApiError> {
    match tokio::time::timeout(BODY_TIMEOUT, read_on(body, heavy)).await {
        Ok(read) => read,
        Err(_) => {
            let why = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
            Err(ApiError::BadRequest(why))
        }
    }
}

async fn read_on(mut body: Body, heavy: &Heavy) -> Result<Whole, ApiError> {
    let too_large = || ApiError::BodyTooLarge { limit_bytes: MAX_BODY_BYTES };
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    let (mut bytes, mut large) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiError::BadRequest(format!("the body could not be read: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        if large.is_none() && bytes.len() + data.len() > SMALL_BODY_BYTES {
            large = Some(heavy.body().await);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Whole { bytes: bytes.freeze(), large })
}

/// The media type of a body without parameters; some clients send JSON without saying so.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim() {
        "" => "application/json",
        named => named,
    }
}

/// Reads an object written in JSON or YAML.
pub(super) fn parse_object(headers: &HeaderMap, bytes: &[u8], strictness: &Strictness) -> Result<Value, ApiError> {
    let value = match media_type(headers) {
        yaml if YAML.contains(&yaml) => parse_yaml(bytes, strictness)?,
        json if json == "application/json" || json == "*/*" || json.ends_with("+json") => {
            parse_json(bytes, strictness)?
        }
        protobuf::MEDIA_TYPE => match protobuf::parse(bytes) {
            Ok(Some(object)) => object,
            Err(error) => return Err(ApiError::BadRequest(format!("the body is not protobuf: {error}"))),
            Ok(None) => {
                let why = "the body is protobuf of a kind, or with a field, that is not known here, so that it cannot be said what it \
                       holds: send the object as JSON or YAML, as `kubectl apply -f` does";
                return Err(ApiError::UnsupportedMediaType { why: why.to_owned() });
            }
        },
        other => {
            let why = format!("bodies of type {other} are not read: send application/json or application/yaml");
            return Err(ApiError::UnsupportedMediaType { why });
        }
    };
    if !value.is_object() {
        return Err(ApiError::BadRequest("the body is not an object".to_owned()));
    }
    Ok(value)
}

/// Reads JSON.
pub(super) fn parse_json(bytes: &[u8], strictness: &Strictness) -> Result<Value, ApiError> {
    let text = notation::read_json(bytes);
    strictness.value_of(text.map_err(|error| ApiError::BadRequest(format!("the body is not JSON: {error}")))?)
}

/// Reads one YAML document.
pub(super) fn parse_yaml(bytes: &[u8], strictness: &Strictness) -> Result<Value, ApiError> {
    let wrong = |error: Unreadable| {
        let line = error.line.map(|line| format!(" at line {line}")).unwrap_or_default();
        ApiError::BadRequest(format!("the body is not YAML: {error}{line}"))
    };
    strictness.value_of(notation::read_yaml(bytes).map_err(wrong)?)
}
