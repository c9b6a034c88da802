//! Replicas of other processes, which may be lost with a request.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use api::ServeError;
use http_body_util::BodyExt;

use crate::{
    clients::{get, send},
    fakes::{CART, cart, config, text},
};

/// The first try is lost on its way; the next ones answer what they were sent. Counts the tries.
macro_rules! first_is {
    ($error:expr, $tries:expr) => {{
        let tries = $tries.clone();
        move |_, request: http::Request<api::Body>| {
            let tries = tries.clone();
            async move {
                if tries.fetch_add(1, SeqCst) == 0 {
                    return Err($error);
                }
                let body = request
                    .into_body()
                    .collect()
                    .await
                    .map_err(|error| ServeError::BadRequest { why: error.to_string() })?;
                text(String::from_utf8_lossy(&body.to_bytes()).into_owned())
            }
        }
    }};
}

fn lost() -> ServeError {
    ServeError::Unreachable { why: "the worker is gone".to_owned() }
}

fn declined() -> ServeError {
    ServeError::Declined { why: "the replica is stopping".to_owned() }
}

#[tokio::test]
async fn what_is_lost_with_a_worker_is_asked_of_another_if_it_may_be_asked_twice() {
    for (method, status, expected) in
        [("GET", 200, 2), ("PUT", 200, 2), ("DELETE", 200, 2), ("POST", 502, 1), ("PATCH", 502, 1)]
    {
        let tries = Arc::new(AtomicU32::new(0));
        let running = cart(config(), &[10, 10], first_is!(lost(), tries)).await;
        running.make_remote();
        let seen = send(running.addr, CART, method, "/", "what was sent").await;
        assert_eq!((seen.status, tries.load(SeqCst)), (status, expected), "{method}: {seen:?}");
        if status == 200 {
            assert_eq!(seen.body, "what was sent");
            assert_eq!(running.measured("cart").retries, 1, "it is counted");
        }
    }
}

#[tokio::test]
async fn what_no_guest_has_seen_is_asked_of_another_whatever_it_is() {
    let tries = Arc::new(AtomicU32::new(0));
    let running = cart(config(), &[10, 10], first_is!(declined(), tries)).await;
    running.make_remote();
    let seen = send(running.addr, CART, "POST", "/", "what was sent").await;
    assert_eq!((seen.status, &*seen.body), (200, "what was sent"));
}

#[tokio::test]
async fn a_worker_that_is_lost_for_every_request_costs_no_more_than_the_budget() {
    let tries = Arc::new(AtomicU32::new(0));
    let running = cart(config(), &[1000; 5], {
        let tries = tries.clone();
        move |_, _| {
            tries.fetch_add(1, SeqCst);
            async { Err(lost()) }
        }
    })
    .await;
    running.make_remote();
    for _ in 0..300 {
        let seen = get(running.addr, CART, "/").await;
        assert!(seen.status == 502 || seen.status == 503, "{seen:?}");
    }
    // 500 at once, and a fifth of the requests.
    let retries = running.measured("cart").retries;
    assert!((500..=560).contains(&retries), "{retries}");
    assert_eq!(u64::from(tries.load(SeqCst)), 300 + retries);
}
