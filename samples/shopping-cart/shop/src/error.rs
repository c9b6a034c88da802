use std::borrow::Cow;

use http::header;
use serde::{Deserialize, Serialize};
use wstd::http::{Body, HeaderValue, Response, StatusCode};

use crate::json;

/// An answer that is not a success: `{"error":{"status":404,"reason":"NotFound","message":"…"}}`.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    /// For programs: one word.
    pub reason: Cow<'static, str>,
    /// For people.
    pub message: String,
    header: Option<(header::HeaderName, &'static str)>,
}

/// The error as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

/// What is in [`ErrorBody`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorDetail {
    pub status: u16,
    pub reason: String,
    pub message: String,
}

impl ApiError {
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), message: message.into(), header: None }
    }

    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("there is no {what}"))
    }

    /// The request is well formed, but what it says cannot be done.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    /// `allowed` lists the methods of the path.
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        let message = format!("this path takes {allowed}");
        let error = Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message);
        Self { header: Some((header::ALLOW, allowed)), ..error }
    }

    /// Something that this service needs is not there: the client may try again.
    pub fn unavailable(reason: &'static str, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, reason, message);
        Self { header: Some((header::RETRY_AFTER, "1")), ..error }
    }

    /// The service's own fault: the log gets the details, the client does not.
    pub fn internal(what: &str, details: impl std::fmt::Debug) -> Self {
        eprintln!("{what}: {details:?}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", what)
    }

    pub fn into_response(self) -> Response<Body> {
        let detail =
            ErrorDetail { status: self.status.as_u16(), reason: self.reason.into_owned(), message: self.message };
        let mut response = json(self.status, &ErrorBody { error: detail });
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
