//! What the host tells a guest, and what a guest tells the host.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};
use wstd::http::{Body, Response, Result, StatusCode};

use crate::{
    answer,
    bindings::wasi::{
        config::store,
        logging::logging::{Level, log as log_line},
    },
    json,
    query::Query,
    text,
};

pub(crate) fn env() -> Result<Response<Body>> {
    json(&json!(std::env::vars().map(|(key, value)| (key, Value::String(value))).collect::<Map<_, _>>()))
}

pub(crate) fn all_config() -> Result<Response<Body>> {
    match store::get_all() {
        Ok(all) => json(&json!(all.into_iter().map(|(key, value)| (key, Value::String(value))).collect::<Map<_, _>>())),
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}\n")),
    }
}

pub(crate) fn config(key: &str) -> Result<Response<Body>> {
    match store::get(key) {
        Ok(Some(value)) => text(value),
        Ok(None) => answer(StatusCode::NOT_FOUND, format!("no configuration {key}\n")),
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}\n")),
    }
}

pub(crate) fn log(query: &Query) -> Result<Response<Body>> {
    let level = match query.text("level").unwrap_or("info") {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        "error" => Level::Error,
        "critical" => Level::Critical,
        other => return answer(StatusCode::BAD_REQUEST, format!("no level {other}\n")),
    };
    log_line(level, "probe", query.text("msg").unwrap_or("a line"));
    text("logged\n")
}

/// `count` lines of `msg`.
pub(crate) fn stdout(query: &Query) -> Result<Response<Body>> {
    for _ in 0..query.number("count", 1) {
        println!("{}", query.text("msg").unwrap_or("a line"));
    }
    text("printed\n")
}

pub(crate) fn stderr(query: &Query) -> Result<Response<Body>> {
    for _ in 0..query.number("count", 1) {
        eprintln!("{}", query.text("msg").unwrap_or("a line"));
    }
    text("printed\n")
}

/// Writes `msg`, `count` times, in pieces of `size` bytes, each through a handle of its own.
pub(crate) fn pieces(query: &Query) -> Result<Response<Body>> {
    let said = query.text("msg").unwrap_or("a line\n").repeat(query.number("count", 1));
    let to_stderr = query.text("to") == Some("stderr");
    for piece in said.as_bytes().chunks(query.number("size", 1).max(1)) {
        let handle = if to_stderr { wasip2::cli::stderr::get_stderr() } else { wasip2::cli::stdout::get_stdout() };
        if let Err(error) = handle.blocking_write_and_flush(piece) {
            return answer(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}\n"));
        }
    }
    text("written\n")
}

/// How many requests this instance has counted, with this one: 1 in a fresh instance.
pub(crate) fn counter() -> Result<Response<Body>> {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    text(format!("{}\n", REQUESTS.fetch_add(1, Ordering::Relaxed) + 1))
}

pub(crate) fn random() -> Result<Response<Body>> {
    text(format!("{:016x}\n", wasip2::random::random::get_random_u64()))
}
