//! Requests and answers as they flow: bodies, headers, outbound calls.

use std::{convert::Infallible, time::Duration};

use futures_lite::stream::{once, unfold};
use serde_json::{Map, Value, json};
use wasip2::http::types::IncomingRequest;
use wstd::http::{
    Body, BodyExt, Client, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Result, StatusCode,
    body::{Bytes, Frame, util::StreamBody},
};

use crate::{answer, json, query::Query, text};

pub(crate) async fn pause(millis: u64) {
    if millis > 0 {
        wstd::task::sleep(Duration::from_millis(millis).into()).await;
    }
}

pub(crate) async fn sleep(query: &Query) -> Result<Response<Body>> {
    pause(query.number("ms", 100)).await;
    text("slept\n")
}

/// The body comes back as it arrives.
pub(crate) fn echo(request: Request<Body>) -> Result<Response<Body>> {
    Ok(Response::new(request.into_body()))
}

/// Reads the whole body and says how long it was.
pub(crate) async fn drain(mut request: Request<Body>) -> Result<Response<Body>> {
    let bytes = request.body_mut().contents().await?.len();
    text(format!("{bytes}\n"))
}

/// The request as the guest sees it. A header that comes twice has its values joined by `, `.
pub(crate) fn headers(request: &Request<Body>) -> Result<Response<Body>> {
    let mut headers = Map::new();
    for name in request.headers().keys() {
        let values = request.headers().get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        headers.insert(name.to_string(), Value::String(values.collect::<Vec<_>>().join(", ")));
    }
    json(&json!({ "method": request.method().as_str(), "uri": request.uri().to_string(), "headers": headers }))
}

pub(crate) fn status(code: &str) -> Result<Response<Body>> {
    answer(StatusCode::from_bytes(code.as_bytes())?, format!("{code}\n"))
}

/// `chunks` pieces of `bytes` bytes, with a pause of `ms` before each.
pub(crate) fn stream(query: &Query) -> Result<Response<Body>> {
    let chunk = Bytes::from(vec![b'x'; query.number("bytes", 1024)]);
    let millis = query.number("ms", 0);
    let chunks = unfold(query.number("chunks", 10u64), move |left| {
        let chunk = chunk.clone();
        async move {
            let left = left.checked_sub(1)?;
            pause(millis).await;
            Some((Ok::<_, Infallible>(chunk), left))
        }
    });
    Ok(Response::new(Body::from_try_stream(chunks)))
}

/// Sends a request on, with this one's method and body, and brings the answer back. Failures are 502.
pub(crate) async fn fetch(request: Request<Body>, query: &Query) -> Result<Response<Body>> {
    let url = query.text("url").unwrap_or_default();
    let method = request.method().clone();
    let body = match query.text("body") {
        // In a stream, so that no length is known.
        Some(body) => Body::from_try_stream(once(Ok::<_, Infallible>(Bytes::from(body.to_owned())))),
        None if method == Method::GET => Body::empty(),
        None => request.into_body(),
    };
    let onward = match Request::builder().method(method).uri(url).body(body) {
        Ok(onward) => onward,
        Err(error) => return answer(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    match Client::new().send(onward).await {
        Ok(response) => {
            let (head, body) = response.into_parts();
            Ok(Response::builder().status(head.status).body(body)?)
        }
        Err(error) => answer(StatusCode::BAD_GATEWAY, format!("{error:?}\n")),
    }
}

/// Answers with the trailers of the request, one a line, and has the parameters for trailers of its own. They are decided on at
/// the end, after a pause of `ms`.
pub(crate) async fn trailers(request: Request<Body>, query: &Query) -> Result<Response<Body>> {
    let read = request.into_body().into_boxed_body().collect().await?;
    let trailers = read.trailers().cloned().unwrap_or_default();
    let mut told = format!("{} bytes\n", read.to_bytes().len());
    for (name, value) in &trailers {
        told.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    }
    let mut own = HeaderMap::new();
    for (name, value) in query.pairs().filter(|(name, _)| *name != "ms") {
        own.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    let millis = query.number("ms", 0);
    let frames = [Frame::data(Bytes::from(told)), Frame::trailers(own)].into_iter();
    let frames = unfold(frames, move |mut left| async move {
        let frame = left.next()?;
        if frame.is_trailers() {
            pause(millis).await;
        }
        Some((Ok::<_, Infallible>(frame), left))
    });
    Ok(Response::builder()
        .header("content-type", "application/grpc")
        .body(Body::from_http_body(StreamBody::new(frames)))?)
}

/// Asks the service at `url` for this same path, so that a call of itself never ends by itself.
pub(crate) async fn again(request: &Request<Body>, query: &Query) -> Result<Response<Body>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{}{path}", query.text("url").unwrap_or_default());
    match Client::new().send(Request::get(url).body(Body::empty())?).await {
        Ok(response) => answer(response.status(), "again\n"),
        Err(error) => answer(StatusCode::BAD_GATEWAY, format!("{error:?}\n")),
    }
}

/// Holds `mb` megabytes for `ms` milliseconds.
pub(crate) async fn hold(query: &Query) -> Result<Response<Body>> {
    let held = vec![1u8; query.number("mb", 1usize) << 20];
    pause(query.number("ms", 100)).await;
    text(format!("{}\n", std::hint::black_box(&held).len()))
}

/// An answer of `bytes` bytes whose length is announced; with `chunked`, it is not.
pub(crate) fn length_then_more(query: &Query) -> Result<Response<Body>> {
    let body = "x".repeat(query.number("bytes", 5));
    let response = match query.text("chunked") {
        Some(_) => Response::builder(),
        None => Response::builder().header("content-length", body.len()),
    };
    Ok(response.body(body.into())?)
}

/// What a request for `/after` has done once its answer was given: it waits for `ms`, and then writes `msg`, or traps.
pub(crate) struct Afterwards(Option<Query>);

impl Afterwards {
    pub(crate) fn of(request: &IncomingRequest) -> Self {
        let path = request.path_with_query().unwrap_or_default();
        let uri = path.starts_with("/after").then(|| path.parse::<wstd::http::Uri>().ok()).flatten();
        Self(uri.map(|uri| Query::of(&uri)))
    }

    pub(crate) async fn work(self) {
        let Some(query) = self.0 else { return };
        pause(query.number("ms", 100)).await;
        if query.text("trap").is_some() {
            crate::faults::trap();
        }
        println!("{}", query.text("msg").unwrap_or("after the answer"));
    }
}
