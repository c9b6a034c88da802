use api::http1::{Refuse, Refused, Violation};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use http_server::audit::Reason;
use serde_json::{Value, json};
use store::StoreError;

use crate::{
    access::{Attributes, What},
    ownership::{Conflict, NotApplied},
    resources::{FieldError, Resource},
};

use super::{live::LiveError, strictness::sentence};

/// Why a request was not carried out. Answered as a `Status` object.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("{} \"{name}\" not found", resource.qualified())]
    NotFound { resource: &'static Resource, name: String },
    #[error("the server has nothing at {path}: `kubectl api-resources` lists what it has")]
    NoSuchPath { path: String },
    #[error("{} \"{name}\" already exists", resource.qualified())]
    AlreadyExists { resource: &'static Resource, name: String },
    #[error("operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified())]
    Conflict { resource: &'static Resource, name: String, why: String },
    #[error("{conflicts}")]
    ApplyConflict { conflicts: NotApplied },
    #[error("{} \"{name}\" is invalid: {}", qualified_kind(resource), summary(errors))]
    Invalid { resource: &'static Resource, name: String, errors: Vec<FieldError> },
    #[error("strict decoding error: {}", strict_summary(errors))]
    Strict { errors: Vec<FieldError> },
    #[error("{resource} in version \"{version}\" cannot be handled as a {resource}: {}", summary(errors))]
    Unreadable { resource: &'static str, version: &'static str, errors: Vec<FieldError> },
    #[error("{0}")]
    BadRequest(String),
    #[error(
        "the bearer token is missing, wrong or over: use the kubeconfig that sampan wrote into its data directory, or ask who gave the token for another"
    )]
    Unauthorized,
    #[error("{}", not_allowed(user, asked, missing))]
    NotAllowed { user: String, asked: Box<Attributes>, missing: Vec<String> },
    #[error("{} \"{name}\" is forbidden: {why}", resource.qualified())]
    Forbidden { resource: &'static Resource, name: String, why: String },
    #[error("{why}")]
    MethodNotAllowed { why: String },
    #[error(
        "none of the accepted media types can be given ({accept}): application/json, application/yaml and application/vnd.kubernetes.protobuf can"
    )]
    NotAcceptable { accept: String },
    #[error("{why}")]
    UnsupportedMediaType { why: String },
    #[error("the request's body is larger than the limit of {limit_bytes} bytes")]
    BodyTooLarge { limit_bytes: usize },
    #[error("{why}")]
    TooLarge { why: String },
    #[error("too old resource version: {version}: list again and watch from there")]
    Expired { version: String },
    #[error("Too large resource version: {version}, current: {now}")]
    FromTheFuture { version: u64, now: u64 },
    #[error("{why}")]
    TooManyRequests { why: String },
    #[error("{why}")]
    Unavailable { why: String },
    /// Not [`ApiError::Unavailable`], which clients repeat by themselves: this lasts until somebody frees space.
    #[error("{why}")]
    DiskFull { why: String },
    #[error("{why}")]
    Internal { why: String },
}

/// Mistakes of one object that are told.
const MAX_TOLD: usize = 64;
/// Seconds after which a client that was told to wait may try again.
const RETRY_AFTER_SECONDS: u32 = 1;

fn qualified_kind(resource: &Resource) -> String {
    match resource.group {
        "" => resource.kind.to_owned(),
        group => format!("{}.{group}", resource.kind),
    }
}

/// As Kubernetes says it.
fn not_allowed(user: &str, asked: &Attributes, missing: &[String]) -> String {
    let about = match &asked.what {
        What::Path(_) => String::new(),
        What::Object(object) => {
            let of = if object.group.is_empty() { String::new() } else { format!(".{}", object.group) };
            let name = if object.name.is_empty() { String::new() } else { format!(" \"{}\"", object.name) };
            format!("{}{of}{name} is ", object.resource)
        }
    };
    let missing = if missing.is_empty() { String::new() } else { format!(": RBAC: {}", missing.join(", ")) };
    format!("{about}forbidden: User \"{user}\" cannot {asked}{missing}")
}

fn summary(errors: &[FieldError]) -> String {
    let mut texts: Vec<_> = errors.iter().take(MAX_TOLD).map(ToString::to_string).collect();
    texts.extend(errors.len().checked_sub(MAX_TOLD + 1).map(|left| format!("and {} further mistakes", left + 1)));
    match texts.as_slice() {
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}

fn strict_summary(errors: &[FieldError]) -> String {
    errors.iter().take(MAX_TOLD).map(sentence).collect::<Vec<_>>().join(", ")
}

fn cause(error: &FieldError) -> Value {
    json!({ "reason": error.cause.reason(), "message": error.message, "field": error.path })
}

impl ApiError {
    fn code_and_reason(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound { .. } | Self::NoSuchPath { .. } => (StatusCode::NOT_FOUND, "NotFound"),
            Self::AlreadyExists { .. } => (StatusCode::CONFLICT, "AlreadyExists"),
            Self::Conflict { .. } | Self::ApplyConflict { .. } => (StatusCode::CONFLICT, "Conflict"),
            Self::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
            Self::Strict { .. } | Self::Unreadable { .. } | Self::BadRequest(_) => {
                (StatusCode::BAD_REQUEST, "BadRequest")
            }
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::Forbidden { .. } | Self::NotAllowed { .. } => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            Self::NotAcceptable { .. } => (StatusCode::NOT_ACCEPTABLE, "NotAcceptable"),
            Self::UnsupportedMediaType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType"),
            Self::BodyTooLarge { .. } | Self::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge")
            }
            Self::Expired { .. } => (StatusCode::GONE, "Expired"),
            Self::FromTheFuture { .. } => (StatusCode::GATEWAY_TIMEOUT, "Timeout"),
            Self::TooManyRequests { .. } => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            Self::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            Self::DiskFull { .. } => (StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage"),
            Self::Internal { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        }
    }

    /// As a `Status` object.
    pub(super) fn to_status(&self) -> Value {
        let (code, reason) = self.code_and_reason();
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.to_string(), "reason": reason, "details": self.details(), "code": code.as_u16(),
        })
    }

    fn details(&self) -> Value {
        let about = |resource: &Resource, name: &str, kind: &str| json!({ "name": name, "group": resource.group, "kind": kind });
        match self {
            Self::NotFound { resource, name }
            | Self::AlreadyExists { resource, name }
            | Self::Conflict { resource, name, .. }
            | Self::Forbidden { resource, name, .. } => about(resource, name, resource.plural),
            Self::Invalid { resource, name, errors } => {
                let mut details = about(resource, name, resource.kind);
                details["causes"] = errors.iter().take(MAX_TOLD).map(cause).collect();
                details
            }
            Self::NotAllowed { asked, .. } => match &asked.what {
                What::Object(object) => {
                    json!({ "name": object.name, "group": object.group, "kind": object.resource })
                }
                What::Path(_) => json!({}),
            },
            Self::Strict { errors } | Self::Unreadable { errors, .. } => {
                json!({ "causes": errors.iter().take(MAX_TOLD).map(cause).collect::<Vec<_>>() })
            }
            Self::ApplyConflict { conflicts: NotApplied::Conflicts(conflicts) } => {
                let cause = |conflict: &Conflict| {
                    let message = format!("conflict with {}", conflict.manager);
                    json!({ "reason": "FieldManagerConflict", "message": message, "field": conflict.field })
                };
                json!({ "causes": conflicts.iter().map(cause).collect::<Vec<_>>() })
            }
            Self::TooManyRequests { .. } | Self::Unavailable { .. } => {
                json!({ "retryAfterSeconds": RETRY_AFTER_SECONDS })
            }
            Self::FromTheFuture { .. } => json!({
                "retryAfterSeconds": RETRY_AFTER_SECONDS,
                "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
            }),
            _ => json!({}),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (code, reason) = self.code_and_reason();
        let mut response = Response::new(Body::from(self.to_status().to_string()));
        *response.status_mut() = code;
        response.extensions_mut().insert(Reason(reason));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if matches!(self, Self::TooManyRequests { .. } | Self::Unavailable { .. }) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        if matches!(self, Self::Unauthorized) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let why = error.to_string();
        match error {
            StoreError::Busy => Self::TooManyRequests { why },
            StoreError::TooLarge { limit, .. } => Self::BodyTooLarge { limit_bytes: limit },
            StoreError::DiskFull { .. } => Self::DiskFull { why },
            StoreError::Closed => Self::Unavailable { why },
            StoreError::Conflict { .. } | StoreError::Failed { .. } => Self::Internal { why },
        }
    }
}

impl From<LiveError> for ApiError {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::Busy(why) => Self::TooManyRequests { why },
            LiveError::Closed(why) => Self::Unavailable { why },
            LiveError::TooMuch(why) => Self::BadRequest(why),
            LiveError::Store(error) => error.into(),
        }
    }
}

/// What is wrong with a request's bytes, as a `Status` object.
#[derive(Debug, Clone, Copy)]
pub(super) struct AsStatus;

impl Refuse for AsStatus {
    fn refuse(&self, violation: Violation) -> Refused {
        let mut status = ApiError::BadRequest(violation.to_string()).to_status();
        status["code"] = violation.status().as_u16().into();
        Refused { content_type: "application/json", body: status.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_said_at_once_and_not_answered_with_a_wish_to_try_again() {
        let response = ApiError::from(StoreError::DiskFull { path: "store.redb".to_owned() }).into_response();
        assert_eq!(response.status(), StatusCode::INSUFFICIENT_STORAGE);
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    }
}
