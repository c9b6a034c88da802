//! Calls of the host as large as a test wants them, and things that the host holds as long as a guest wants it.

use std::{hint::black_box, time::Instant};

use serde_json::json;
use wasip2::{
    cli::stdout::get_stdout,
    clocks::monotonic_clock::subscribe_duration,
    http::types::{Fields, Method, OutgoingBody, OutgoingRequest, OutgoingResponse, Scheme},
    io::{
        poll::{Pollable, poll},
        streams::OutputStream,
    },
    random::{insecure::get_insecure_random_bytes, random::get_random_bytes},
};
use wstd::http::{Body, Response, Result, StatusCode};

use crate::{
    answer,
    bindings::wasi::{
        config::store as config,
        keyvalue0_2_0_draft2::{
            atomics::{Cas, increment, swap},
            batch,
            store::{Bucket, Error, open},
        },
        logging::logging::{Level, log},
    },
    json,
    query::Query,
    text,
};

/// Makes the call `what`, `times` in a row, and answers how often it was made and how many microseconds that took. Its parameters
/// are made before, of `count` pieces of `bytes` bytes.
pub(crate) fn call(what: &str, query: &Query) -> Result<Response<Body>> {
    let (bytes, count) = (query.number("bytes", 1usize), query.number("count", 1usize));
    let piece = query.text("piece").unwrap_or("x").repeat(bytes);
    let of_pieces = || vec![piece.clone(); count];
    let bucket = || open("carts").map_err(|error| format!("{error:?}"));
    let said = |error: Error| match error {
        Error::Other(why) => why,
        other => format!("{other:?}"),
    };
    let mut call: Box<dyn FnMut() -> std::result::Result<(), String>> = match what {
        "log" => {
            let (context, message) = (query.text("context").unwrap_or("probe").repeat(bytes), "a\n".repeat(count));
            Box::new(move || Ok(log(Level::Info, &context, &message)))
        }
        "stdout" => {
            let (stdout, lines) = (get_stdout(), piece);
            Box::new(move || stdout.write(lines.as_bytes()).map_err(|error| format!("{error:?}")))
        }
        "random" => Box::new(move || Ok(drop(black_box(get_random_bytes(bytes as u64))))),
        "insecure" => Box::new(move || Ok(drop(black_box(get_insecure_random_bytes(bytes as u64))))),
        "environment" => Box::new(|| Ok(drop(black_box(wasip2::cli::environment::get_environment())))),
        "config" => Box::new(move || Ok(drop(black_box(config::get(&piece))))),
        "config-all" => Box::new(|| Ok(drop(black_box(config::get_all())))),
        "clock" => Box::new(|| Ok(drop(black_box(subscribe_duration(1 << 40))))),
        "poll" => {
            let mut pollables: Vec<Pollable> = (0..count).map(|_| subscribe_duration(1 << 40)).collect();
            pollables.push(subscribe_duration(0));
            // The same ones again and again, where a list is to be longer than an instance has handles.
            let listed: Vec<&Pollable> = pollables.iter().cycle().take(pollables.len() * bytes).collect();
            return timed(query, || Ok(drop(black_box(poll(&listed)))));
        }
        "fields-of-list" => {
            let entries: Vec<_> = (0..count).map(|n| (format!("x-{n}"), piece.clone().into_bytes())).collect();
            Box::new(move || Fields::from_list(&entries).map(drop).map_err(|error| format!("{error:?}")))
        }
        "fields-set" => {
            let (fields, values) = (Fields::new(), of_pieces().into_iter().map(String::into_bytes).collect::<Vec<_>>());
            Box::new(move || fields.set("x", &values).map_err(|error| format!("{error:?}")))
        }
        "fields-copy" => {
            let fields = Fields::new();
            for n in 0..count {
                let _ = fields.append(&format!("x-{n}"), piece.as_bytes());
            }
            Box::new(move || fields.clone().append("y", b"y").map_err(|error| format!("{error:?}")))
        }
        "fields-entries" => {
            let fields = Fields::new();
            for n in 0..count {
                let _ = fields.append(&format!("x-{n}"), piece.as_bytes());
            }
            Box::new(move || Ok(drop(black_box(fields.entries()))))
        }
        "path" => with_request(move |request| request.set_path_with_query(Some(&piece))),
        "authority" => with_request(move |request| request.set_authority(Some(&piece))),
        "method" => with_request(move |request| request.set_method(&Method::Other(piece.clone()))),
        "scheme" => with_request(move |request| request.set_scheme(Some(&Scheme::Other(piece.clone())))),
        "write" => Box::new(move || filled(&OutgoingResponse::new(Fields::new()), bytes).map(drop)),
        "write-zeroes" => Box::new(move || {
            let response = OutgoingResponse::new(Fields::new());
            let body = response.body().map_err(|()| "no body")?;
            let stream = body.write().map_err(|()| "no stream")?;
            let room = stream.check_write().map_err(|error| format!("{error:?}"))?;
            stream.write_zeroes(room.min(bytes as u64)).map_err(|error| format!("{error:?}"))
        }),
        "kv-open" => Box::new(move || open(&piece).map(drop).map_err(said)),
        "kv-get" => {
            let bucket = bucket().map_err(wstd::http::Error::msg)?;
            bucket.set("call", piece.as_bytes()).map_err(said).map_err(wstd::http::Error::msg)?;
            Box::new(move || bucket.get("call").map(|value| drop(black_box(value))).map_err(said))
        }
        "kv-set" => {
            let (bucket, value) = (bucket().map_err(wstd::http::Error::msg)?, piece.into_bytes());
            Box::new(move || bucket.set("call", &value).map_err(said))
        }
        "kv-swap" => {
            let (bucket, value) = (bucket().map_err(wstd::http::Error::msg)?, piece.into_bytes());
            Box::new(move || {
                let cas = Cas::new(&bucket, "call").map_err(said)?;
                swap(cas, &value).map_err(|error| format!("{error:?}"))
            })
        }
        "kv-increment" => {
            let bucket = bucket().map_err(wstd::http::Error::msg)?;
            Box::new(move || increment(&bucket, &piece, 1).map(drop).map_err(said))
        }
        "kv-get-many" => {
            let (bucket, keys) = (bucket().map_err(wstd::http::Error::msg)?, keys(count));
            for key in &keys {
                bucket.set(key, piece.as_bytes()).map_err(said).map_err(wstd::http::Error::msg)?;
            }
            Box::new(move || batch::get_many(&bucket, &keys).map(|values| drop(black_box(values))).map_err(said))
        }
        "kv-set-many" => {
            let bucket = bucket().map_err(wstd::http::Error::msg)?;
            let entries: Vec<_> = keys(count).into_iter().map(|key| (key, piece.clone().into_bytes())).collect();
            Box::new(move || batch::set_many(&bucket, &entries).map_err(said))
        }
        "kv-delete-many" => {
            let (bucket, keys) = (bucket().map_err(wstd::http::Error::msg)?, keys(count));
            Box::new(move || batch::delete_many(&bucket, &keys).map_err(said))
        }
        "kv-list" => {
            let bucket = bucket().map_err(wstd::http::Error::msg)?;
            Box::new(move || bucket.list_keys(Some(&piece)).map(|page| drop(black_box(page))).map_err(said))
        }
        _ => return answer(StatusCode::NOT_FOUND, format!("the probe knows no call {what}\n")),
    };
    timed(query, &mut *call)
}

fn timed(query: &Query, mut call: impl FnMut() -> std::result::Result<(), String>) -> Result<Response<Body>> {
    let (mut failed, mut longest) = (None, 0);
    let times = query.number("times", 1u32);
    let began = Instant::now();
    for _ in 0..times {
        let called = Instant::now();
        if let Err(why) = call() {
            failed = Some(why);
        }
        longest = longest.max(called.elapsed().as_micros() as u64);
    }
    let micros = began.elapsed().as_micros() as u64;
    json(&json!({ "times": times, "micros": micros, "longest": longest, "failed": failed }))
}

fn with_request(
    set: impl Fn(&OutgoingRequest) -> std::result::Result<(), ()> + 'static,
) -> Box<dyn FnMut() -> std::result::Result<(), String>> {
    let request = OutgoingRequest::new(Fields::new());
    Box::new(move || set(&request).map_err(|()| "refused".to_owned()))
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("call-{n}")).collect()
}

/// A body of which as much is written as fits at once, up to so many bytes.
fn filled(response: &OutgoingResponse, bytes: usize) -> std::result::Result<(OutputStream, OutgoingBody), String> {
    let body = response.body().map_err(|()| "no body")?;
    let stream = body.write().map_err(|()| "no stream")?;
    let mut left = bytes;
    while left > 0 {
        let room = stream.check_write().map_err(|error| format!("{error:?}"))? as usize;
        if room == 0 {
            break;
        }
        let now = left.min(room);
        stream.write(&vec![b'x'; now]).map_err(|error| format!("{error:?}"))?;
        left -= now;
    }
    // The stream goes first.
    Ok((stream, body))
}

/// Has the host hold `count` things of `bytes` bytes, for `ms` milliseconds.
pub(crate) async fn held_by_the_host(what: &str, query: &Query) -> Result<Response<Body>> {
    let (bytes, count) = (query.number("bytes", 1usize), query.number("count", 1usize));
    let mut held: Vec<Box<dyn std::any::Any>> = Vec::new();
    let value = || "x".repeat(bytes);
    if what == "cas" {
        let bucket: Bucket = open("carts").expect("it is granted");
        bucket.set("held", value().as_bytes()).expect("it is set");
    }
    for n in 0..count {
        held.push(match what {
            "cas" => Box::new(Cas::new(&open("carts").expect("it is granted"), "held").expect("it is there")),
            "bodies" => {
                let response = OutgoingResponse::new(Fields::new());
                // What was written stays when its stream and its body's handle go.
                drop(filled(&response, bytes).expect("it can be written"));
                Box::new(response)
            }
            "fields" => {
                let fields = Fields::new();
                fields.append(&format!("x-{n}"), value().as_bytes()).expect("it has room");
                Box::new(fields)
            }
            "copies" => {
                let fields = Fields::new();
                fields.append("x", value().as_bytes()).expect("it has room");
                let copy = fields.clone();
                copy.append("y", b"y").expect("it has room");
                Box::new(copy)
            }
            "paths" => {
                let request = OutgoingRequest::new(Fields::new());
                request.set_path_with_query(Some(&format!("/{}", value()))).expect("it has room");
                Box::new(request)
            }
            "pollables" => Box::new(subscribe_duration(1 << 40)),
            "buckets" => Box::new(open("carts").expect("it is granted")),
            other => return answer(StatusCode::NOT_FOUND, format!("the probe holds no {other}\n")),
        });
    }
    crate::flow::pause(query.number("ms", 0)).await;
    text(format!("{}\n", held.len()))
}
