use http::header::CONTENT_TYPE;
use serde::{Serialize, de::DeserializeOwned};
use wstd::http::{
    Body, HeaderValue, Request, Response, StatusCode,
    body::{
        Bytes,
        util::{BodyExt, LengthLimitError, Limited},
    },
};

use crate::ApiError;

/// The largest body that the services of the shop read.
pub const MAX_BODY_BYTES: usize = 16 << 10;

/// An answer in JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_vec(value).expect("the shop's types have only text keys");
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The request's body as a `T`.
pub async fn read_json<T: DeserializeOwned>(request: Request<Body>) -> Result<T, ApiError> {
    let bytes = read_body(request, "application/json").await?;
    serde_json::from_slice(&bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ApiError::invalid(error.to_string()),
        _ => ApiError::new(StatusCode::BAD_REQUEST, "BadRequest", format!("the body is not JSON: {error}")),
    })
}

/// The request's body, which must be of this media type and not too large.
pub async fn read_body(request: Request<Body>, media_type: &str) -> Result<Bytes, ApiError> {
    let found = request.headers().get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or_default());
    if !found.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type) {
        let message = format!("send a body with `content-type: {media_type}`");
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message));
    }
    let body = Limited::new(request.into_body().into_boxed_body(), MAX_BODY_BYTES);
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body is larger than {MAX_BODY_BYTES} bytes");
            Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message))
        }
        Err(error) => {
            Err(ApiError::new(StatusCode::BAD_REQUEST, "BadRequest", format!("the body cannot be read: {error}")))
        }
    }
}
