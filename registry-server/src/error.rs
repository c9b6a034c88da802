use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use registry_client::{
    ImageError,
    hosted::{ManifestError, OverQuota, UploadError},
};
use serde_json::json;

/// An answer with an error, by the codes of the distribution specification.
#[derive(Debug)]
pub(super) enum RegistryError {
    Unauthorized,
    Denied(String),
    TooManyRequests,
    /// There is no room for it now, and may be later.
    NoRoom(String),
    /// Too many have shown a wrong token, or are connected.
    Later(String),
    Unsupported(String),
    NameInvalid(String),
    NameUnknown(String),
    BlobUnknown(String),
    DigestInvalid(String),
    UploadUnknown(String),
    UploadInvalid(String),
    /// A part does not follow on what is here: so many bytes.
    OutOfOrder {
        location: String,
        len: u64,
    },
    RangeInvalid(u64),
    ManifestUnknown(String),
    ManifestInvalid(String),
    ManifestTooLarge(u64),
    BlobTooLarge(u64),
    ManifestBlobUnknown(String),
    /// The client did not send all that it announced, or nothing for too long.
    BodyEnded(String),
    Internal(String),
}

impl IntoResponse for RegistryError {
    fn into_response(self) -> Response {
        let (status, code, message) = self.told();
        let body = json!({ "errors": [ { "code": code, "message": message } ] }).to_string();
        let mut response = super::json(status, "application/json", body.into());
        match &self {
            Self::Unauthorized => super::set(&mut response, header::WWW_AUTHENTICATE, "Basic realm=\"sampan\""),
            Self::TooManyRequests | Self::Later(_) => super::set(&mut response, header::RETRY_AFTER, "1"),
            Self::NoRoom(_) => super::set(&mut response, header::RETRY_AFTER, "30"),
            Self::RangeInvalid(size) => super::set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}")),
            Self::OutOfOrder { location, len } => {
                super::set(&mut response, header::LOCATION, location);
                super::set(&mut response, header::RANGE, &super::uploads::received(*len));
            }
            _ => {}
        }
        response
    }
}

impl RegistryError {
    fn told(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                "show the token of the kubeconfig, as a bearer token or as the password of any user".to_owned(),
            ),
            Self::Denied(why) => (StatusCode::FORBIDDEN, "DENIED", why.clone()),
            Self::TooManyRequests => {
                (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "too many requests at the same time".to_owned())
            }
            Self::NoRoom(why) | Self::Later(why) => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", why.clone()),
            Self::Unsupported(why) => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", why.clone()),
            Self::NameInvalid(why) => (StatusCode::BAD_REQUEST, "NAME_INVALID", why.clone()),
            Self::NameUnknown(name) => {
                (StatusCode::NOT_FOUND, "NAME_UNKNOWN", format!("there is no repository `{name}`"))
            }
            Self::BlobUnknown(digest) => {
                (StatusCode::NOT_FOUND, "BLOB_UNKNOWN", format!("{digest} is not in this repository"))
            }
            Self::DigestInvalid(why) => (StatusCode::BAD_REQUEST, "DIGEST_INVALID", why.clone()),
            Self::UploadUnknown(why) => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", why.clone()),
            Self::UploadInvalid(why) => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", why.clone()),
            Self::OutOfOrder { len, .. } => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "BLOB_UPLOAD_INVALID",
                format!("the part does not begin where the upload ends, at byte {len}"),
            ),
            Self::RangeInvalid(size) => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "UNSUPPORTED",
                format!("the blob has {size} bytes, and not those that were asked for"),
            ),
            Self::ManifestUnknown(name) => {
                (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", format!("there is no manifest `{name}` in this repository"))
            }
            Self::ManifestInvalid(why) => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID", why.clone()),
            Self::ManifestTooLarge(limit) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", format!("a manifest may have {limit} bytes"))
            }
            Self::BlobTooLarge(limit) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", format!("a blob may have {limit} bytes"))
            }
            Self::ManifestBlobUnknown(why) => (StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", why.clone()),
            Self::BodyEnded(why) => (StatusCode::BAD_REQUEST, "SIZE_INVALID", why.clone()),
            Self::Internal(why) => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", why.clone()),
        }
    }
}

impl From<ImageError> for RegistryError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::OverQuota(over @ (OverQuota::Owner { .. } | OverQuota::Entries { .. })) => {
                return Self::Denied(over.to_string());
            }
            ImageError::OverQuota(over) => return Self::NoRoom(over.to_string()),
            ImageError::BelowReserve(below) => return Self::NoRoom(below.to_string()),
            _ => {}
        }
        tracing::warn!(%error, "the registry could not use the image store");
        Self::Internal(error.without_path().into_owned())
    }
}

impl From<UploadError> for RegistryError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Unknown => Self::UploadUnknown(error.to_string()),
            UploadError::Busy => Self::UploadInvalid(error.to_string()),
            UploadError::WrongDigest { .. } => Self::DigestInvalid(error.to_string()),
            UploadError::Store(error) => error.into(),
        }
    }
}

impl From<ManifestError> for RegistryError {
    fn from(error: ManifestError) -> Self {
        match error {
            ManifestError::Invalid(why) => Self::ManifestInvalid(why),
            ManifestError::WrongDigest { .. } => Self::DigestInvalid(error.to_string()),
            ManifestError::BlobsMissing(_) => Self::ManifestBlobUnknown(error.to_string()),
            ManifestError::Store(error) => error.into(),
        }
    }
}
