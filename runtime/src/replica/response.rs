use std::sync::Arc;

use api::{Body, Content, announce_trailers, full_body};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode, header, response::Parts};
use http_body_util::BodyExt;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::{Replica, body::GuestBody, tail::Tail, turn::Turn};

/// Headers of one connection: they are the gateway's to set.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What the request wants to see of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// All of it.
    Whole,
    /// The request's method is HEAD: a length is announced, and nothing follows.
    HeadOnly,
}

/// The answer of a guest that is done: what it wrote is all here.
pub(super) fn complete(response: Response<HyperOutgoingBody>, answer: Answer) -> Result<Response<Body>, String> {
    let (mut parts, announced, body) = checked(response, answer)?;
    // All is here, so this is no wait; unconstrained, because a used-up budget of the task would look like one.
    let collected = match tokio::task::unconstrained(body.collect()).now_or_never() {
        Some(Ok(collected)) => collected,
        Some(Err(error)) => return Err(format!("the guest broke off its body: {error}")),
        None => return Err("the guest left its body unfinished".to_owned()),
    };
    let trailers = collected.trailers().cloned();
    let bytes = collected.to_bytes();
    // Named, so that they can follow over HTTP/1.1 too.
    parts.headers.remove(header::TRAILER);
    if let Some(names) = trailers.as_ref().and_then(announce_trailers) {
        parts.headers.insert(header::TRAILER, names);
    }
    match announced {
        Some(length) if length != bytes.len() as u64 => {
            Err(format!("the guest announced {length} bytes and wrote {}", bytes.len()))
        }
        _ => {
            let body = match trailers {
                None => full_body(bytes),
                Some(trailers) => full_body(bytes).with_trailers(std::future::ready(Some(Ok(trailers)))).boxed_unsync(),
            };
            Ok(Response::from_parts(parts, body))
        }
    }
}

/// The answer of a guest that is still at it.
pub(super) fn streaming(
    response: Response<HyperOutgoingBody>,
    answer: Answer,
    replica: Arc<Replica>,
    turn: Arc<Turn>,
    tail: Tail,
) -> Result<Response<Body>, String> {
    let (parts, announced, body) = checked(response, answer)?;
    let unread = is_bodiless(answer, parts.status);
    Ok(Response::from_parts(parts, GuestBody::new(body, announced, unread, replica, turn, tail).boxed_unsync()))
}

/// Re-frames what the guest says: no header of a connection leaves it, and a length only if it will be kept to.
fn checked(
    response: Response<HyperOutgoingBody>,
    answer: Answer,
) -> Result<(Parts, Option<u64>, HyperOutgoingBody), String> {
    let (mut parts, body) = response.into_parts();
    if parts.status.is_informational() {
        return Err(format!("the guest answered with the informational status {}", parts.status.as_u16()));
    }
    for name in &HOP_BY_HOP {
        parts.headers.remove(name);
    }
    let announced = announced_length(&parts.headers)?;
    let bodiless = is_bodiless(answer, parts.status);
    Ok((parts, announced.filter(|_| !bodiless), body))
}

/// Whether nothing follows the head of an answer, whatever the guest writes.
fn is_bodiless(answer: Answer, status: StatusCode) -> bool {
    let method = match answer {
        Answer::HeadOnly => Method::HEAD,
        Answer::Whole => Method::GET,
    };
    Content::of(&method, status) != Content::Follows
}

fn announced_length(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    let digits = length.as_bytes();
    let valid = lengths.next().is_none() && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let parsed = length.to_str().ok().and_then(|text| text.parse().ok()).filter(|_| valid);
    parsed.map(Some).ok_or_else(|| "the guest's content-length is not a number".to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;

    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> Response<HyperOutgoingBody> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync()).unwrap()
    }

    #[test]
    fn headers_of_the_connection_are_dropped_and_the_others_kept() {
        let headers = [("connection", "close"), ("transfer-encoding", "chunked"), ("upgrade", "h2c"), ("x-shop", "1")];
        let response = complete(answer(200, &headers, "hi"), Answer::Whole).unwrap();
        assert_eq!(response.headers().len(), 1);
        assert_eq!(response.headers()["x-shop"], "1");
    }

    #[test]
    fn a_length_must_be_kept_to() {
        assert!(complete(answer(200, &[("content-length", "2")], "hi"), Answer::Whole).is_ok());
        for length in ["1", "3", "+2", "2x", "", "18446744073709551616"] {
            assert!(complete(answer(200, &[("content-length", length)], "hi"), Answer::Whole).is_err(), "{length}");
        }
        let twice = [("content-length", "2"), ("content-length", "2")];
        assert!(complete(answer(200, &twice, "hi"), Answer::Whole).is_err());
    }

    #[test]
    fn an_answer_to_head_announces_a_length_and_sends_nothing() {
        let response = complete(answer(200, &[("content-length", "5")], ""), Answer::HeadOnly).unwrap();
        assert_eq!(response.headers()["content-length"], "5");
    }

    #[test]
    fn an_answer_without_a_body_is_not_held_to_a_length() {
        for status in [204, 205, 304] {
            assert!(complete(answer(status, &[("content-length", "5")], ""), Answer::Whole).is_ok(), "{status}");
        }
    }

    #[test]
    fn informational_statuses_are_no_answer() {
        assert!(complete(answer(103, &[], ""), Answer::Whole).is_err());
    }
}
