//! How messages are framed: one place for all versions of HTTP and for every hop, from the gateway to clients and to workers.

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING},
};
use http_body::Body as _;

use crate::{Body, empty_body};

/// What follows the head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A body, which may be empty.
    Follows,
    /// Nothing; the head may announce the length that a GET would have had.
    Announced,
    /// Nothing, and no length is announced.
    Never,
}

impl Content {
    /// As RFC 9110 says: HEAD (9.3.2), 1xx (15.2), 204 (15.3.5), 205 (15.3.6) and 304 (15.4.5) have no content.
    pub fn of(method: &Method, status: StatusCode) -> Self {
        match status {
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => Self::Never,
            status if status.is_informational() => Self::Never,
            _ if *method == Method::HEAD => Self::Announced,
            _ => Self::Follows,
        }
    }
}

/// Takes from an answer to `method` the body that it cannot have, and a `content-length` that is not true. Who still writes
/// that body sees it closed.
pub fn frame_answer(response: &mut Response<Body>, method: &Method) {
    let size = response.body().size_hint().exact();
    match Content::of(method, response.status()) {
        Content::Follows => {
            let announced = response.headers().get(CONTENT_LENGTH).map(length);
            if announced.is_some_and(|length| length.is_none() || size.is_some_and(|size| length != Some(size))) {
                response.headers_mut().remove(CONTENT_LENGTH);
            }
        }
        Content::Announced => {
            response.headers_mut().remove(TRAILER);
            match (announced(response.headers()), size) {
                (Some(_), _) => {}
                (None, Some(size)) if !response.body().is_end_stream() => {
                    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
                }
                (None, _) => drop(response.headers_mut().remove(CONTENT_LENGTH)),
            }
            *response.body_mut() = empty_body();
        }
        Content::Never => {
            response.headers_mut().remove(TRAILER);
            response.headers_mut().remove(CONTENT_LENGTH);
            *response.body_mut() = empty_body();
        }
    }
}

/// Says in the head of a request over HTTP/1.1 how its body ends, whatever its method: a GET may have one too (RFC 9112, 6.3).
pub fn frame_request<B: http_body::Body>(request: &mut Request<B>) {
    request.headers_mut().remove(TRANSFER_ENCODING);
    let has_length = request.body().size_hint().exact().is_some() || announced(request.headers()).is_some();
    if !request.body().is_end_stream() && !has_length {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// The length that a head announces, if it is one.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH).and_then(length)
}

fn length(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::full_body;

    fn framed(method: Method, status: u16, length: Option<&'static str>, body: Body) -> (Option<String>, bool) {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(length) = length {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static(length));
        }
        frame_answer(&mut response, &method);
        let length = response.headers().get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().to_owned());
        (length, response.body().is_end_stream())
    }

    #[test]
    fn answers_that_have_no_content_lose_what_was_written() {
        for status in [100, 103, 204, 205, 304] {
            assert_eq!(framed(Method::GET, status, Some("4"), full_body("body")), (None, true), "{status}");
            assert_eq!(framed(Method::HEAD, status, Some("4"), full_body("body")), (None, true), "HEAD {status}");
        }
    }

    #[test]
    fn an_answer_to_head_announces_the_length_of_what_is_not_sent() {
        let announces = |length: &str| (Some(length.to_owned()), true);
        assert_eq!(framed(Method::HEAD, 200, Some("9"), empty_body()), announces("9"));
        assert_eq!(framed(Method::HEAD, 200, None, full_body("body")), announces("4"));
        assert_eq!(framed(Method::HEAD, 503, None, full_body("body")), announces("4"));
        assert_eq!(framed(Method::HEAD, 200, None, empty_body()), (None, true), "it may be anything");
    }

    #[test]
    fn a_length_that_is_not_that_of_the_body_is_not_announced() {
        assert_eq!(framed(Method::GET, 200, Some("4"), full_body("body")).0.as_deref(), Some("4"));
        assert_eq!(framed(Method::GET, 200, Some("5"), full_body("body")).0, None);
        assert_eq!(framed(Method::GET, 200, Some("x"), full_body("body")).0, None);
    }

    #[test]
    fn a_request_whose_body_has_no_length_is_chunked_whatever_its_method() {
        use futures::stream::pending;
        use http_body_util::{BodyExt, StreamBody};

        for method in [Method::GET, Method::HEAD, Method::DELETE, Method::POST] {
            let mut request = Request::new(StreamBody::new(pending()).boxed_unsync() as Body);
            *request.method_mut() = method.clone();
            frame_request(&mut request);
            assert_eq!(request.headers()[TRANSFER_ENCODING], "chunked", "{method}");
            *request.body_mut() = empty_body();
            frame_request(&mut request);
            assert!(!request.headers().contains_key(TRANSFER_ENCODING), "{method}");
        }
    }
}
