//! `wasi:keyvalue`: single keys, compare-and-swap, numbers, batches, listings. Refusals are 403,
//! stores that are not there 404, failures 500.

use serde_json::{Map, Value, json};
use wstd::http::{Body, Method, Request, Response, Result, StatusCode};

use crate::{
    answer,
    bindings::wasi::keyvalue0_2_0_draft2::{
        atomics::{self, Cas, CasError},
        batch,
        store::{self, Error},
    },
    json,
    query::Query,
    text,
};

/// Far more than parallel writers of a test need.
const MAX_SWAPS: u32 = 1000;

pub(crate) async fn value(mut request: Request<Body>, bucket: &str, key: &str) -> Result<Response<Body>> {
    let body = request.body_mut().contents().await?.to_vec();
    let method = request.method().clone();
    or_refusal(|| {
        let bucket = store::open(bucket)?;
        match method {
            Method::GET => Ok(match bucket.get(key)? {
                Some(value) => Ok(Response::new(value.into())),
                None => answer(StatusCode::NOT_FOUND, format!("no key {key}\n")),
            }),
            Method::HEAD => Ok(answer(if bucket.exists(key)? { StatusCode::OK } else { StatusCode::NOT_FOUND }, "")),
            Method::PUT => bucket.set(key, &body).map(|()| text("set\n")),
            Method::DELETE => bucket.delete(key).map(|()| text("deleted\n")),
            other => Ok(answer(StatusCode::METHOD_NOT_ALLOWED, format!("no method {other}\n"))),
        }
    })
}

/// Adds one to a decimal number by compare-and-swap.
pub(crate) fn add_by_swap(bucket: &str, key: &str) -> Result<Response<Body>> {
    or_refusal(|| {
        let bucket = store::open(bucket)?;
        let mut cas = Cas::new(&bucket, key)?;
        for swaps in 1..=MAX_SWAPS {
            let current = cas.current()?.unwrap_or_default();
            let value = String::from_utf8_lossy(&current).parse().unwrap_or(0u64) + 1;
            match atomics::swap(cas, value.to_string().as_bytes()) {
                Ok(()) => return Ok(json(&json!({ "value": value, "swaps": swaps }))),
                Err(CasError::CasFailed(newer)) => cas = newer,
                Err(CasError::StoreError(error)) => return Err(error),
            }
        }
        Ok(answer(StatusCode::CONFLICT, format!("lost {MAX_SWAPS} swaps\n")))
    })
}

pub(crate) fn increment(bucket: &str, key: &str, query: &Query) -> Result<Response<Body>> {
    or_refusal(|| {
        let bucket = store::open(bucket)?;
        Ok(text(format!("{}\n", atomics::increment(&bucket, key, query.number("by", 1))?)))
    })
}

/// GET and DELETE take `keys=a,b,c`; PUT takes a JSON object of texts.
pub(crate) async fn batch(mut request: Request<Body>, bucket: &str, query: &Query) -> Result<Response<Body>> {
    let body = request.body_mut().contents().await?.to_vec();
    let method = request.method().clone();
    let keys: Vec<String> = query.text("keys").unwrap_or_default().split(',').map(str::to_owned).collect();
    or_refusal(|| {
        let bucket = store::open(bucket)?;
        match method {
            Method::GET => Ok(json(&found(batch::get_many(&bucket, &keys)?))),
            Method::DELETE => batch::delete_many(&bucket, &keys).map(|()| text("deleted\n")),
            _ => match serde_json::from_slice::<Map<String, Value>>(&body) {
                Ok(entries) => batch::set_many(&bucket, &entries.into_iter().map(entry).collect::<Vec<_>>())
                    .map(|()| text("set\n")),
                Err(error) => Ok(answer(StatusCode::BAD_REQUEST, format!("{error}\n"))),
            },
        }
    })
}

fn found(pairs: Vec<(String, Option<Vec<u8>>)>) -> Value {
    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    json!(pairs.into_iter().map(|(key, value)| (key, json!(value.map(text)))).collect::<Map<_, _>>())
}

fn entry((key, value): (String, Value)) -> (String, Vec<u8>) {
    (key, value.as_str().map_or_else(|| value.to_string(), str::to_owned).into_bytes())
}

/// All keys, page by page, and how many pages there were.
pub(crate) fn list(bucket: &str) -> Result<Response<Body>> {
    or_refusal(|| {
        let bucket = store::open(bucket)?;
        let (mut keys, mut pages, mut cursor) = (Vec::new(), 0, None);
        loop {
            let page = bucket.list_keys(cursor.as_deref())?;
            keys.extend(page.keys);
            pages += 1;
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(json(&json!({ "keys": keys, "pages": pages })));
            }
        }
    })
}

fn or_refusal(
    operation: impl FnOnce() -> std::result::Result<Result<Response<Body>>, Error>,
) -> Result<Response<Body>> {
    match operation() {
        Ok(response) => response,
        Err(Error::NoSuchStore) => answer(StatusCode::NOT_FOUND, "no such store\n"),
        Err(Error::AccessDenied) => answer(StatusCode::FORBIDDEN, "access denied\n"),
        Err(Error::Other(why)) => answer(StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
    }
}
