use std::time::Duration;

use http::header::{CONTENT_TYPE, COOKIE};
use serde::{Serialize, de::DeserializeOwned};
use wstd::http::{
    Body, Client, HeaderMap, HeaderValue, Method, Request, StatusCode,
    body::{
        Bytes,
        util::{BodyExt, Limited},
    },
};

use crate::{ApiError, ErrorBody};

/// How long another service may take until it begins to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A request to another service of the shop, by its name: `http://products/products/tea`.
pub struct Call {
    method: Method,
    url: String,
    cookie: Option<HeaderValue>,
    body: Option<Vec<u8>>,
}

/// An answer with a status of success.
pub struct Reply {
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no such answer.
#[derive(Debug)]
pub enum CallError {
    /// The service answered with an error.
    Refused(ApiError),
    /// The service could not be reached, or answered with something that is not its language.
    Unreachable(String),
}

impl Call {
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), cookie: None, body: None }
    }

    /// Passes on the cookie of the request that this call is made for.
    pub fn cookie(mut self, cookie: Option<&HeaderValue>) -> Self {
        self.cookie = cookie.cloned();
        self
    }

    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_vec(body).expect("the shop's types have only text keys"));
        self
    }

    pub async fn send(self) -> Result<Reply, CallError> {
        let mut request = Request::builder().method(self.method).uri(&self.url);
        if let Some(cookie) = self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let request = match self.body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(Body::from(body)),
            None => request.body(Body::empty()),
        };
        let request = request.map_err(|error| CallError::Unreachable(format!("{}: {error}", self.url)))?;
        let unreachable = |error: wstd::http::Error| CallError::Unreachable(format!("{}: {error}", self.url));

        let mut client = Client::new();
        client.set_first_byte_timeout(PATIENCE);
        let (head, body) = client.send(request).await.map_err(unreachable)?.into_parts();
        let body = Limited::new(body.into_boxed_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| CallError::Unreachable(format!("{}: {error}", self.url)))?.to_bytes();
        if head.status.is_success() {
            return Ok(Reply { headers: head.headers, body });
        }
        Err(refusal(head.status, &body))
    }
}

/// An error in the shop's own form is the service's; any other comes from something on the way to it.
fn refusal(status: StatusCode, body: &[u8]) -> CallError {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error }) => CallError::Refused(ApiError::new(status, error.reason, error.message)),
        Err(_) => CallError::Unreachable(format!("{status}: {}", String::from_utf8_lossy(body))),
    }
}

impl Reply {
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| CallError::Unreachable(format!("an answer that is not understood: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_service_are_told_from_those_of_the_way_to_it() {
        let body = br#"{"error":{"status":404,"reason":"NotFound","message":"there is no product x"}}"#;
        let CallError::Refused(error) = refusal(StatusCode::NOT_FOUND, body) else { panic!("a refusal") };
        assert_eq!((error.status, error.reason.as_ref()), (StatusCode::NOT_FOUND, "NotFound"));
        assert!(matches!(refusal(StatusCode::BAD_GATEWAY, b"no route"), CallError::Unreachable(_)));
    }
}
