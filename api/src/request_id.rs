use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that names the trace of a request, and its place there (W3C Trace Context).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Digits of a trace.
const DIGITS: usize = 32;
/// Where they begin: after the version and a dash.
const AT: usize = 3;
/// `00-`, 32 digits of trace, 16 of span, flags.
pub const TRACEPARENT_BYTES: usize = 55;

/// Names a request, and all that it causes: the trace of its `traceparent`. Answers, logs and terminals tell it, so that what one
/// of them says is found in the others.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; DIGITS]);

impl RequestId {
    /// Of a request with these headers; `None`: they name no trace.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get(TRACEPARENT).and_then(Self::of_traceparent)
    }

    /// Of what a `traceparent` says; `None`: it is none of a version that is known, or names nothing.
    pub fn of_traceparent(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let digits: [u8; DIGITS] = bytes.get(AT..AT + DIGITS)?.try_into().ok()?;
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_whole = bytes.len() == TRACEPARENT_BYTES && bytes.starts_with(b"00-") && bytes[AT + DIGITS] == b'-';
        (is_whole && digits.iter().all(is_digit) && digits != [b'0'; DIGITS]).then_some(Self(digits))
    }

    /// As it stands in headers and logs.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_traceparent_names_a_request() {
        let of = |text: &'static str| RequestId::of_traceparent(&HeaderValue::from_static(text));
        let whole = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(of(whole).unwrap().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for broken in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7-01-x",
        ] {
            assert_eq!(of(broken), None, "{broken}");
        }
    }
}
