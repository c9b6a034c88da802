use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};

/// A streamed HTTP body, as it travels between gateway and replica in either direction.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Why a body ended before its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BodyError {
    /// More bytes arrived than the limit that applies to this body.
    #[error("body is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit that was passed.
        limit_bytes: u64,
    },
    /// The sender was silent for longer than the limit.
    #[error("body stalled: no bytes for {idle_ms} ms")]
    Stalled {
        /// How long was waited, in milliseconds.
        idle_ms: u64,
    },
    /// The peer went away or broke the framing.
    #[error("connection closed while the body was sent: {0}")]
    Closed(String),
    /// The guest failed after it had begun to answer.
    #[error("the guest failed while it sent the body: {0}")]
    Guest(String),
}

/// A body without bytes.
pub fn empty_body() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of bytes that are already here.
pub fn full_body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
