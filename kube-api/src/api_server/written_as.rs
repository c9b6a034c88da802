//! Answers in YAML, for those who accept nothing else that comes first: what was made in JSON is written anew.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

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
        let mut text = String::new();
        write(&value, 0, &mut text);
        Ok(text.trim_start().to_owned() + "\n")
    };
    let text = heavy.work(writing).await?;
    parts.headers.insert(header::CONTENT_TYPE, YAML);
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(text)))
}

/// Writes a value behind `key:` or `-`, with what it holds indented below. Texts that some reader could take for something else
/// stand in the quotes of JSON, which are YAML's too.
fn write(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                *text += &format!("\n{indent}{}:", scalar(key));
                write(value, depth + 1, text);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for element in elements {
                *text += &format!("\n{indent}-");
                write(element, depth + 1, text);
            }
        }
        Value::String(plain) => *text += &format!(" {}", scalar(plain)),
        other => *text += &format!(" {other}"),
    }
}

fn scalar(text: &str) -> String {
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
    let goes_on = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte));
    let is_word = matches!(
        text.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
    );
    if begins && goes_on && !is_word { text.to_owned() } else { Value::from(text).to_string() }
}
