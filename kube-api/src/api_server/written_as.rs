//! Answers in YAML, for those who accept nothing else that comes first: what was made in JSON is written anew.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use crate::notation::yaml_text;

use super::{error::ApiError, heavy::Heavy};

/// The largest answer, in bytes of JSON, that is written as YAML.
const MAX_YAML_BYTES: usize = 16 << 20;
const YAML: HeaderValue = HeaderValue::from_static("application/yaml");

/// Whether the first media type that can be given is YAML, of what the client accepts.
pub(super) fn is_yaml_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types =
        accept.flat_map(|value| value.split(',')).map(|one| one.split(';').next().unwrap_or_default().trim());
    types.find(|one| matches!(*one, "application/yaml" | "application/json" | "application/*" | "*/*"))
        == Some("application/yaml")
}

/// The same answer in YAML, if it is JSON.
pub(super) async fn in_yaml(response: Response<Body>, heavy: &Heavy) -> Result<Response<Body>, ApiError> {
    let (mut parts, body) = response.into_parts();
    if parts.headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return Ok(Response::from_parts(parts, body));
    }
    let writing = async move {
        let body = Limited::new(body, MAX_YAML_BYTES).collect().await.map_err(|_| ApiError::NotAcceptable {
            accept: format!("application/yaml of more than {MAX_YAML_BYTES} bytes: list in parts with `limit`"),
        })?;
        let unreadable = |error| ApiError::Internal { why: format!("an answer cannot be written as YAML: {error}") };
        let value: Value = serde_json::from_slice(&body.to_bytes()).map_err(unreadable)?;
        Ok(yaml_text(&value))
    };
    let text = heavy.work(writing).await?;
    parts.headers.insert(header::CONTENT_TYPE, YAML);
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(text)))
}
