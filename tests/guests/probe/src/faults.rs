//! What a broken or hostile guest does.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use serde_json::json;
use wasip2::http::types::{Fields, OutgoingResponse, ResponseOutparam};
use wstd::http::{Body, Response, Result};

use crate::{json, query::Query, text};

/// An `unreachable` instruction.
pub(crate) fn trap() -> ! {
    std::process::abort()
}

pub(crate) fn panic(query: &Query) -> ! {
    panic!("{}", query.text("msg").unwrap_or("the probe was asked to panic"))
}

pub(crate) fn run_forever() -> ! {
    let mut rounds = 0u64;
    loop {
        rounds = black_box(rounds.wrapping_add(1));
    }
}

/// A body without an end, whether anybody reads it or not.
pub(crate) fn write_forever(answer: ResponseOutparam) -> ! {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("it is asked for once");
    ResponseOutparam::set(answer, Ok(response));
    let stream = body.write().expect("it is asked for once");
    loop {
        let _ = stream.blocking_write_and_flush(&[b'x'; 1024]);
    }
}

pub(crate) fn exit(query: &Query) -> ! {
    std::process::exit(query.number("code", 0))
}

/// An error instead of an answer, which `wasi:http` has a word for.
pub(crate) fn fail() -> Result<Response<Body>> {
    Err(wstd::http::error::ErrorCode::InternalError(Some("the probe was asked to fail".to_owned())).into())
}

pub(crate) fn spin(query: &Query) -> Result<Response<Body>> {
    let until = Instant::now() + Duration::from_millis(query.number("ms", 10));
    let mut rounds = 0u64;
    while Instant::now() < until {
        for _ in 0..1000 {
            rounds = black_box(rounds + 1);
        }
    }
    text(format!("{rounds}\n"))
}

pub(crate) fn alloc(query: &Query) -> Result<Response<Body>> {
    let bytes = query.number("mb", 1usize) << 20;
    // Not zero: every page is written.
    let block = black_box(vec![1u8; bytes]);
    text(format!("{}\n", block.len()))
}

/// Runs out of stack.
pub(crate) fn recurse() -> Result<Response<Body>> {
    fn deeper(depth: u64) -> u64 {
        let frame = black_box([depth; 64]);
        if depth == u64::MAX { 0 } else { deeper(depth + 1) + frame[1] }
    }
    text(format!("{}\n", deeper(0)))
}

/// Answers that a host must not pass on as they are.
pub(crate) fn bad_headers(query: &Query) -> Result<Response<Body>> {
    let of_length =
        |length: &str| Ok(Response::builder().header("content-length", length).body("12345".to_owned().into())?);
    match query.text("kind") {
        Some("length-too-large") => of_length("500"),
        Some("length-too-small") => of_length("2"),
        Some("many") => {
            let mut response = Response::builder();
            for n in 0..query.number("count", 10_000) {
                response = response.header(format!("x-{n}"), "x");
            }
            Ok(response.body(Body::empty())?)
        }
        _ => forbidden_headers(),
    }
}

/// Says of each header that a guest must not set whether the host takes it.
fn forbidden_headers() -> Result<Response<Body>> {
    let fields = Fields::new();
    let taken = ["connection", "keep-alive", "transfer-encoding", "upgrade", "host", "http2-settings", "bad name"]
        .map(|name| (name.to_owned(), json!(fields.append(name, b"x").is_ok())));
    json(&json!(serde_json::Map::from_iter(taken)))
}
