use http::StatusCode;

/// Why a client's bytes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The connection begins as one with TLS does.
    #[error("this address speaks HTTP without TLS: ask by `http://`, not `https://`")]
    Tls,
    /// The first line is none of a request.
    #[error(
        "a request begins with a line of method, target and version, parted by single spaces: `GET /path HTTP/1.1`; blanks in \
         the target are written as %20 (RFC 9112, section 3)"
    )]
    RequestLine,
    /// It is another version of HTTP.
    #[error("this address speaks HTTP/1.1, HTTP/1.0, and HTTP/2 that begins with its preface (RFC 9113, section 3.4)")]
    Version,
    /// The parser behind refused a head, and did not say why.
    #[error(
        "the request's head cannot be read: a target has percent-encoded ASCII, the name of a field is letters, digits and dashes \
         directly before a colon, a value has no control characters, and HTTP/1.0 has no `Transfer-Encoding` (RFC 9112, \
         sections 3, 5 and 6.1)"
    )]
    Unreadable,
    /// The parser behind refused a head for its size.
    #[error("the request's head is larger than it may be here, or has more than 100 fields")]
    HeadTooLarge,
    /// A line of a head, of chunked framing or of trailers does not end with CR LF.
    #[error("a line ends with a line feed alone: in HTTP/1.1 lines end with CR LF (RFC 9112, section 2.2)")]
    BareLineFeed,
    /// A field goes on in a second line.
    #[error(
        "a field goes on in a second line, or a line begins with a blank: write each field in one (RFC 9112, section 5.2)"
    )]
    FoldedLine,
    /// A `Content-Length` is no number.
    #[error("`Content-Length` is not a number of bytes: it is digits alone (RFC 9110, section 8.6)")]
    InvalidLength,
    /// Two `Content-Length` fields say different things.
    #[error("the request has two `Content-Length` fields that differ: send one (RFC 9112, section 6.3)")]
    TwoLengths,
    /// The body's end is told in two ways.
    #[error("the request has `Content-Length` and `Transfer-Encoding`: send one of them (RFC 9112, section 6.1)")]
    LengthAndCoding,
    /// What ends the body is not chunked framing, or it is applied more than once.
    #[error("`Transfer-Encoding` of a request ends with `chunked`, named once (RFC 9112, sections 6.1 and 6.3)")]
    NotChunkedOnce,
    /// The body has a coding beside chunked framing.
    #[error(
        "`Transfer-Encoding` names a coding that is not known here: `chunked` is the only one (RFC 9112, section 6.1)"
    )]
    UnknownCoding,
    /// A chunk does not begin with its size.
    #[error("a chunk of the body does not begin with its size in hexadecimal digits (RFC 9112, section 7.1)")]
    ChunkSize,
}

impl Violation {
    /// The status of the answer to it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}
