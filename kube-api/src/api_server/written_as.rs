//! Answers in YAML and protobuf, for those who would have them first: what was made in JSON is written anew.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::{HeaderValue, Response, header};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::notation::yaml_text;

use super::{
    accept::{Accepted, Notation},
    error::ApiError,
    heavy::Heavy,
    protobuf,
};

/// The largest answer, in bytes of JSON, that is written anew.
const MAX_REWRITTEN_BYTES: usize = 16 << 20;

/// The same answer as the client would have it, if it is JSON. What is too long for that stays JSON, if the client takes that too;
/// so does what protobuf has no numbers for.
pub(super) async fn rewritten(
    response: Response<Body>,
    accepted: Accepted,
    heavy: &Heavy,
) -> Result<Response<Body>, ApiError> {
    let (mut parts, body) = response.into_parts();
    let (media_type, write): (_, fn(&Value) -> Option<Bytes>) = match accepted.notation {
        Notation::Json => return Ok(Response::from_parts(parts, body)),
        Notation::Yaml => ("application/yaml", |value| Some(yaml_text(value).into())),
        Notation::Protobuf => (protobuf::MEDIA_TYPE, |value| protobuf::write(value).map(Bytes::from)),
    };
    if parts.headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return Ok(Response::from_parts(parts, body));
    }
    let json = match whole(body).await? {
        Ok(json) => json,
        Err(longer) if accepted.or_json => return Ok(Response::from_parts(parts, longer)),
        Err(_) => {
            return Err(ApiError::NotAcceptable {
                accept: format!("{media_type} of more than {MAX_REWRITTEN_BYTES} bytes: list in parts with `limit`"),
            });
        }
    };
    let writing = async move {
        let unreadable =
            |error| ApiError::Internal { why: format!("an answer cannot be written as {media_type}: {error}") };
        let value: Value = serde_json::from_slice(&json).map_err(unreadable)?;
        Ok(write(&value).map_or((false, json), |written| (true, written)))
    };
    let (is_rewritten, text) = heavy.work(writing).await?;
    if is_rewritten {
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(text)))
}

/// All of a body, or as it was if it is longer than [`MAX_REWRITTEN_BYTES`].
async fn whole(mut body: Body) -> Result<Result<Bytes, Body>, ApiError> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let broken = |error| ApiError::Internal { why: format!("an answer broke off: {error}") };
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        read.extend_from_slice(&data);
        if read.len() > MAX_REWRITTEN_BYTES {
            let begun = stream::iter([Ok(read.freeze())]);
            return Ok(Err(Body::from_stream(begun.chain(body.into_data_stream()))));
        }
    }
    Ok(Ok(read.freeze()))
}
