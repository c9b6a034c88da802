//! Fields that follow a body: which may, and who is told of them.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, Version,
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

/// Makes the head of an answer agree with whether its trailers are read: over HTTP/1.1 only a chunked body has any. Where they
/// are read, a body is chunked that names some, or that may have some because it is still written.
pub fn frame_trailers<B: http_body::Body>(version: Version, read: bool, response: &mut Response<B>) {
    if !read {
        response.headers_mut().remove(TRAILER);
        return;
    }
    let body = response.body();
    let follows = response.headers().contains_key(TRAILER) || body.size_hint().exact().is_none();
    if version == Version::HTTP_11 && follows && !body.is_end_stream() {
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// What ends a chunked body that has these trailers (RFC 9112, 7.1.2); `None` where there are none.
pub fn last_chunk(trailers: &HeaderMap) -> Option<Vec<u8>> {
    if trailers.is_empty() {
        return None;
    }
    let mut chunk = b"0\r\n".to_vec();
    for (name, value) in trailers {
        chunk.extend_from_slice(name.as_str().as_bytes());
        chunk.extend_from_slice(b": ");
        chunk.extend_from_slice(value.as_bytes());
        chunk.extend_from_slice(b"\r\n");
    }
    chunk.extend_from_slice(b"\r\n");
    Some(chunk)
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;
    use crate::{Body, empty_body, full_body};

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
        let written = || StreamBody::new(futures::stream::pending()).boxed_unsync();
        for (version, read, given, body, expected) in [
            (Version::HTTP_11, true, "content-length,trailer", full_body("x"), "trailer,transfer-encoding"),
            (Version::HTTP_11, false, "content-length,trailer", full_body("x"), "content-length"),
            (Version::HTTP_2, true, "content-length,trailer", full_body("x"), "content-length,trailer"),
            (Version::HTTP_11, true, "content-length", full_body("x"), "content-length"),
            (Version::HTTP_11, true, "content-length", written(), "transfer-encoding"),
            (Version::HTTP_11, false, "content-length", written(), "content-length"),
            (Version::HTTP_11, true, "content-length", empty_body(), "content-length"),
        ] {
            let mut response: Response<Body> = Response::new(body);
            *response.headers_mut() =
                given.split(',').map(|name| (name.parse().unwrap(), "1".parse().unwrap())).collect();
            frame_trailers(version, read, &mut response);
            let mut names: Vec<&str> = response.headers().keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names.join(","), expected, "{version:?} {read} {given}");
        }
    }

    #[test]
    fn trailers_stand_in_the_last_chunk() {
        let mut trailers = fields(&["x-sum"]);
        trailers.append("x-sum", HeaderValue::from_static("y"));
        assert_eq!(last_chunk(&trailers).unwrap(), b"0\r\nx-sum: x\r\nx-sum: y\r\n\r\n");
        assert_eq!(last_chunk(&HeaderMap::new()), None);
    }
}
