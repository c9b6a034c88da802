//! A guest with one path for each thing that a test wants a guest to do. The README lists them.

mod calls;
mod faults;
mod flow;
mod host;
mod query;
mod store;

use wasip2::{
    exports::http::incoming_handler::Guest,
    http::types::{IncomingRequest, ResponseOutparam},
};
use wstd::{
    http::{Body, Request, Response, Result, StatusCode, request::try_from_incoming, server::Responder},
    runtime::block_on,
};

use query::Query;

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "sampan:guest/capabilities", generate_all });
}

struct Probe;
wasip2::http::proxy::export!(Probe);

impl Guest for Probe {
    // Written out, where other guests use `#[wstd::http_server]`: that always gives some answer.
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        match request.path_with_query().as_deref() {
            Some("/no-answer") => return,
            Some("/endless") => faults::write_forever(answer),
            _ => {}
        }
        let responder = Responder::new(answer);
        block_on(async move {
            let afterwards = flow::Afterwards::of(&request);
            let response = match try_from_incoming(request) {
                Ok(request) => route(request).await,
                Err(error) => Err(error),
            };
            match response {
                // A client that went away is no reason to trap.
                Ok(response) => drop(responder.respond(response).await),
                Err(error) => responder.fail(error),
            }
            afterwards.work().await;
        })
    }
}

async fn route(request: Request<Body>) -> Result<Response<Body>> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let query = Query::of(request.uri());
    match segments.as_slice() {
        [""] => text("probe\n"),

        ["trap"] => faults::trap(),
        ["panic"] => faults::panic(&query),
        ["loop"] => faults::run_forever(),
        ["exit"] => faults::exit(&query),
        ["fail"] => faults::fail(),
        ["spin"] => faults::spin(&query),
        ["alloc"] => faults::alloc(&query),
        ["recurse"] => faults::recurse(),
        ["bad-headers"] => faults::bad_headers(&query),

        ["sleep"] => flow::sleep(&query).await,
        ["echo"] => flow::echo(request),
        ["headers"] => flow::headers(&request),
        ["status", code] => flow::status(code),
        ["stream"] => flow::stream(&query),
        ["drain"] => flow::drain(request).await,
        ["fetch"] => flow::fetch(request, &query).await,
        ["again"] => flow::again(&request, &query).await,
        ["trailers"] => flow::trailers(request, &query).await,
        ["after"] => flow::length_then_more(&query),
        ["hold"] => flow::hold(&query).await,

        ["env"] => host::env(),
        ["config"] => host::all_config(),
        ["config", key] => host::config(key),
        ["log"] => host::log(&query),
        ["stdout"] => host::stdout(&query),
        ["stderr"] => host::stderr(&query),
        ["pieces"] => host::pieces(&query),
        ["counter"] => host::counter(),
        ["random"] => host::random(),

        ["call", what] => calls::call(what, &query),
        ["held", what] => calls::held_by_the_host(what, &query).await,

        ["kv", bucket, key] => store::value(request, bucket, key).await,
        ["kv-cas", bucket, key] => store::add_by_swap(bucket, key),
        ["kv-incr", bucket, key] => store::increment(bucket, key, &query),
        ["kv-batch", bucket] => store::batch(request, bucket, &query).await,
        ["kv-list", bucket] => store::list(bucket),
        _ => answer(StatusCode::NOT_FOUND, format!("the probe has no path {path}\n")),
    }
}

fn text(body: impl Into<String>) -> Result<Response<Body>> {
    answer(StatusCode::OK, body)
}

fn json(value: &serde_json::Value) -> Result<Response<Body>> {
    Ok(Response::builder().header("content-type", "application/json").body(value.to_string().into())?)
}

fn answer(status: StatusCode, body: impl Into<String>) -> Result<Response<Body>> {
    Ok(Response::builder().status(status).body(body.into().into())?)
}
