//! A guest that imports `wasi:config` and `wasi:logging` by the names that they had in earlier drafts: `/NAME/KEY` answers what the
//! interface of that name says of a key, `/log/MESSAGE` writes a line, and `/log-lines/COUNT` many.

use wstd::http::{Body, Request, Response, Result, StatusCode};

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package test:drafts;

            world drafts {
                import wasi:config/store@0.2.0-draft;
                import wasi:config/runtime@0.2.0-draft;
                import wasi:config/runtime@0.2.0-rc.1;
                import wasi:logging/logging;
            }

            package wasi:config@0.2.0-draft {
                interface store {
                    variant error { upstream(string), io(string) }
                    get: func(key: string) -> result<option<string>, error>;
                    get-all: func() -> result<list<tuple<string, string>>, error>;
                }
                interface runtime {
                    variant config-error { upstream(string), io(string) }
                    get: func(key: string) -> result<option<string>, config-error>;
                    get-all: func() -> result<list<tuple<string, string>>, config-error>;
                }
            }

            package wasi:config@0.2.0-rc.1 {
                interface runtime {
                    variant config-error { upstream(string), io(string) }
                    get: func(key: string) -> result<option<string>, config-error>;
                    get-all: func() -> result<list<tuple<string, string>>, config-error>;
                }
            }

            package wasi:logging {
                interface logging {
                    enum level { trace, debug, info, warn, error, critical }
                    log: func(level: level, context: string, message: string);
                }
            }
        ",
        world: "test:drafts/drafts",
        generate_all,
    });
}

use bindings::wasi::{
    config0_2_0_draft::{runtime as draft_runtime, store as draft_store},
    config0_2_0_rc_1::runtime as candidate_runtime,
    logging::logging::{Level, log},
};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>> {
    let path = request.uri().path().trim_start_matches('/');
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    let found = match name {
        "store-draft" => draft_store::get(rest).map_err(|error| format!("{error:?}")),
        "runtime-draft" => draft_runtime::get(rest).map_err(|error| format!("{error:?}")),
        "runtime-rc.1" => candidate_runtime::get(rest).map_err(|error| format!("{error:?}")),
        "all" => {
            let all = [
                draft_store::get_all().map_err(|error| format!("{error:?}")),
                draft_runtime::get_all().map_err(|error| format!("{error:?}")),
                candidate_runtime::get_all().map_err(|error| format!("{error:?}")),
            ];
            Ok(Some(all.into_iter().map(|all| format!("{all:?}\n")).collect()))
        }
        "log" => {
            log(Level::Warn, "drafts", rest);
            Ok(Some(String::new()))
        }
        // So many lines in one call, with a context of 4 MiB.
        "log-lines" => {
            log(Level::Warn, &"drafts".repeat(700_000), &"a\n".repeat(rest.parse().unwrap_or(1)));
            Ok(Some(String::new()))
        }
        _ => Ok(None),
    };
    let (status, text) = match found {
        Ok(Some(text)) => (StatusCode::OK, text),
        Ok(None) => (StatusCode::NOT_FOUND, "nothing of this name\n".to_owned()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error),
    };
    Ok(Response::builder().status(status).body(text.into())?)
}
