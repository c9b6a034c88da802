//! Fields that follow a body: which may, and who is told of them.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{self, TE, TRAILER},
};
use http_body::Frame;

/// Fields that a recipient needs before the body, or that must not be merged into its head: they frame, route, control,
/// authenticate or describe (RFC 9110, 6.5.1).
const NEVER_TRAILERS: [HeaderName; 37] = [
    header::AGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::EXPECT,
    header::EXPIRES,
    header::FORWARDED,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::PRAGMA,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::VARY,
    header::WARNING,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Fields that the gateway alone may set begin so.
const THE_GATEWAYS: [&str; 3] = ["x-sampan-", "x-forwarded-", "x-real-ip"];

/// Whether a field may follow a body.
pub fn may_trail(name: &HeaderName) -> bool {
    !NEVER_TRAILERS.contains(name) && !THE_GATEWAYS.iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// A piece of a body without those trailers that may not be.
pub fn allowed_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    let trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(frame) => return frame,
    };
    if trailers.keys().all(may_trail) {
        return Frame::trailers(trailers);
    }
    let mut kept = HeaderMap::new();
    for (name, value) in trailers.iter().filter(|(name, _)| may_trail(name)) {
        kept.append(name, value.clone());
    }
    Frame::trailers(kept)
}

/// Whether who sent a request with this head reads the trailers of the answer: over HTTP/1.1 it says so (RFC 9110, 10.1.4).
pub fn reads_trailers(version: Version, headers: &HeaderMap) -> bool {
    let says = |value: &HeaderValue| {
        let words = value.to_str().unwrap_or_default().split(',');
        words.into_iter().any(|word| word.trim().eq_ignore_ascii_case("trailers"))
    };
    match version {
        Version::HTTP_2 | Version::HTTP_3 => true,
        Version::HTTP_11 => headers.get_all(TE).iter().any(says),
        _ => false,
    }
}

/// Names fields that will follow a body, for `Trailer`.
pub fn announce_trailers(trailers: &HeaderMap) -> Option<HeaderValue> {
    let names: Vec<&str> = trailers.keys().filter(|name| may_trail(name)).map(HeaderName::as_str).collect();
    if names.is_empty() {
        return None;
    }
    Some(HeaderValue::from_str(&names.join(", ")).expect("names of fields are visible ASCII"))
}

/// Makes the head of an answer agree with whether its trailers are read: over HTTP/1.1 only a chunked body has any, and those
/// that its head names.
pub fn frame_trailers(version: Version, read: bool, headers: &mut HeaderMap) {
    if !headers.contains_key(TRAILER) {
        return;
    }
    if !read {
        headers.remove(TRAILER);
    } else if version == Version::HTTP_11 {
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &[&'static str]) -> HeaderMap {
        names.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x"))).collect()
    }

    #[test]
    fn what_frames_routes_or_authenticates_does_not_follow_a_body() {
        let names =
            ["grpc-status", "content-length", "host", "set-cookie", "x-forwarded-for", "x-sampan-hops", "x-sum"];
        let kept = allowed_trailers(Frame::trailers(fields(&names))).into_trailers().unwrap();
        assert_eq!(kept, fields(&["grpc-status", "x-sum"]));
        let data = allowed_trailers(Frame::data(Bytes::from_static(b"data")));
        assert_eq!(data.into_data().unwrap(), "data");
    }

    #[test]
    fn over_http_1_1_who_reads_trailers_says_so() {
        let saying = |te: &'static str| HeaderMap::from_iter([(TE, HeaderValue::from_static(te))]);
        assert!(reads_trailers(Version::HTTP_11, &saying("gzip, Trailers")));
        assert!(!reads_trailers(Version::HTTP_11, &saying("gzip")));
        assert!(!reads_trailers(Version::HTTP_11, &HeaderMap::new()));
        assert!(!reads_trailers(Version::HTTP_10, &saying("trailers")));
        assert!(reads_trailers(Version::HTTP_2, &HeaderMap::new()));
    }

    #[test]
    fn trailers_that_are_read_make_an_answer_chunked_over_http_1_1_alone() {
        for (version, read, expected) in [
            (Version::HTTP_11, true, "trailer,transfer-encoding"),
            (Version::HTTP_11, false, "content-length"),
            (Version::HTTP_2, true, "content-length,trailer"),
        ] {
            let mut headers = fields(&["content-length", "trailer"]);
            frame_trailers(version, read, &mut headers);
            let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names.join(","), expected, "{version:?} {read}");
        }
    }
}
