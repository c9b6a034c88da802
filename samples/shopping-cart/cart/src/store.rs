//! Carts in `wasi:keyvalue`, one value each.

use std::time::Duration;

use shop::ApiError;
use wstd::http::StatusCode;

use crate::{
    bindings::wasi::keyvalue0_2_0_draft2::{
        atomics::{self, Cas, CasError},
        store::{self, Bucket, Error},
    },
    cart::Cart,
    session::CartId,
};

/// The store that the manifest grants with `sampan.dev/key-value`.
const STORE: &str = "carts";

/// How often a change is tried while others change the same cart. One of them succeeds each time, so this is
/// more than the parallel writers that one cart is meant to have.
const MAX_ATTEMPTS: u32 = 100;

/// The longest pause between two attempts, in milliseconds.
const MAX_PAUSE_MILLIS: u64 = 32;

/// Whether the store can be opened.
pub(crate) fn check() -> Result<(), ApiError> {
    open().map(drop)
}

/// The cart; an empty one if there is none yet.
pub(crate) fn read(id: &CartId) -> Result<Cart, ApiError> {
    decode(open()?.get(id.as_str()).map_err(failed)?)
}

/// Changes a cart so that no other change is lost: what was read is written back only if it still is
/// what is stored, otherwise everything starts again.
pub(crate) async fn update<T>(
    id: &CartId,
    mut change: impl FnMut(&mut Cart) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let bucket = open()?;
    for attempt in 0..MAX_ATTEMPTS {
        let cas = Cas::new(&bucket, id.as_str()).map_err(failed)?;
        let mut cart = decode(cas.current().map_err(failed)?)?;
        let answer = change(&mut cart)?;
        let value =
            serde_json::to_vec(&cart).map_err(|error| ApiError::internal("the cart cannot be written", error))?;
        match atomics::swap(cas, &value) {
            Ok(()) => return Ok(answer),
            // The handle in the error would be outdated after the pause.
            Err(CasError::CasFailed(_)) => pause(attempt).await,
            Err(CasError::StoreError(error)) => return Err(failed(error)),
        }
    }
    let message = "others change this cart all the time; nothing was changed, try again";
    Err(ApiError::new(StatusCode::CONFLICT, "Conflict", message))
}

/// Random, so that those who collided do not collide again; longer the more there are.
async fn pause(attempt: u32) {
    let mut random = [0];
    wstd::rand::get_insecure_random_bytes(&mut random);
    let longest = MAX_PAUSE_MILLIS.min(1 << attempt.min(16));
    wstd::task::sleep(Duration::from_millis(1 + u64::from(random[0]) % longest).into()).await;
}

fn open() -> Result<Bucket, ApiError> {
    store::open(STORE).map_err(failed)
}

fn decode(value: Option<Vec<u8>>) -> Result<Cart, ApiError> {
    match value {
        None => Ok(Cart::default()),
        Some(json) => {
            serde_json::from_slice(&json).map_err(|error| ApiError::internal("the stored cart cannot be read", error))
        }
    }
}

fn failed(error: Error) -> ApiError {
    eprintln!("the store `{STORE}` failed: {error:?}");
    ApiError::unavailable("StoreUnavailable", "carts cannot be reached at the moment")
}
