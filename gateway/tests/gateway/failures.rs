use std::{
    sync::Arc,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use api::{Body, ServeError};
use gateway::GatewayConfig;
use http::{Request, Response};
use tokio::io::AsyncWriteExt;

use crate::{
    clients::{connect, get},
    fakes::{CART, cart, config, text, until},
};

fn refused(request: Request<Body>) -> ServeError {
    ServeError::Refused { request: Box::new(request), why: "no slot free".into() }
}

#[tokio::test]
async fn each_failure_of_a_replica_has_its_status_and_reason() {
    let running = cart(config(), &[9], |_, request| async move {
        Err(match request.uri().path() {
            "/trap" => ServeError::Trapped { reason: "unreachable executed".into() },
            "/memory" => ServeError::OutOfMemory { limit_bytes: 1 << 20 },
            "/late" => ServeError::DeadlineExceeded { deadline: Duration::from_secs(1) },
            "/bad" => ServeError::BadRequest { why: "no such method".into() },
            _ => ServeError::Unreachable { why: "connection reset".into() },
        })
    })
    .await;
    for (path, status, reason) in [
        ("/trap", 502, "GuestTrapped"),
        ("/memory", 502, "GuestOutOfMemory"),
        ("/late", 504, "DeadlineExceeded"),
        ("/bad", 400, "BadRequest"),
        ("/gone", 502, "ReplicaUnreachable"),
    ] {
        let seen = get(running.addr, CART, path).await;
        assert_eq!((seen.status, seen.reason()), (status, reason), "{path}");
    }
    until("all have ended", || running.measured("cart").completed == 5).await;
    assert_eq!(running.measured("cart").failed, 4);
    let counted = running.gateway.measurements().refusals;
    assert!(counted.iter().any(|(reason, count)| *reason == gateway::Reason::GuestTrapped && *count == 1));
}

#[tokio::test]
async fn a_request_that_one_replica_refuses_is_answered_by_another() {
    let running = cart(config(), &[100, 1], |name, request| async move {
        match name.as_str() {
            "r0" => Err(refused(request)),
            _ => text(name),
        }
    })
    .await;
    for _ in 0..5 {
        assert_eq!(get(running.addr, CART, "/").await.body, "r1");
    }
}

#[tokio::test]
async fn a_request_that_everybody_refuses_ends_with_503() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let running = cart(config(), &[1, 1], move |_, request| {
        count.fetch_add(1, SeqCst);
        async move { Err(refused(request)) }
    })
    .await;
    let seen = get(running.addr, CART, "/").await;
    assert_eq!((seen.status, seen.reason()), (503, "ReplicasRefused"));
    assert_eq!(asked.load(SeqCst), 5, "tries are bounded");
}

#[tokio::test]
async fn a_request_for_which_a_replica_has_no_room_waits_until_there_is_some() {
    let (at_work, asked) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let count = asked.clone();
    // Others send to it too, so that it takes two of the ten that this gateway knows of.
    let running = cart(config(), &[10], move |_, request| {
        let at_work = at_work.clone();
        count.fetch_add(1, SeqCst);
        async move {
            if at_work.fetch_add(1, SeqCst) >= 2 {
                at_work.fetch_sub(1, SeqCst);
                return Err(ServeError::Busy { request: Some(Box::new(request)), why: "full".into() });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            at_work.fetch_sub(1, SeqCst);
            text("done")
        }
    })
    .await;
    let seen = futures::future::join_all((0..40).map(|_| get(running.addr, CART, "/"))).await;
    assert!(
        seen.iter().all(|seen| seen.status == 200),
        "{:?}",
        seen.iter().map(|seen| seen.status).collect::<Vec<_>>()
    );
    assert!(asked.load(SeqCst) < 200, "it is not asked over and over: {}", asked.load(SeqCst));
}

#[tokio::test]
async fn a_request_for_which_there_is_never_room_ends_as_one_for_which_all_are_busy() {
    let config = GatewayConfig { queue_wait: Duration::from_millis(200), ..config() };
    let running = cart(config, &[10], |_, request| async move {
        Err(ServeError::Busy { request: Some(Box::new(request)), why: "full".into() })
    })
    .await;
    let seen = get(running.addr, CART, "/").await;
    assert_eq!((seen.status, seen.reason()), (503, "AllReplicasBusy"));
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_replica_and_its_place_in_line() {
    let running = cart(config(), &[1], |_, request| async move {
        match request.uri().path() {
            "/stay" => std::future::pending().await,
            _ => text("free"),
        }
    })
    .await;
    let request = format!("GET /stay HTTP/1.1\r\nhost: {CART}\r\n\r\n");
    let mut served = connect(running.addr).await;
    served.write_all(request.as_bytes()).await.unwrap();
    until("it is served", || running.measured("cart").in_flight == 1).await;
    let mut waits = connect(running.addr).await;
    waits.write_all(request.as_bytes()).await.unwrap();
    until("one waits", || running.measured("cart").queued == 1).await;
    drop(waits);
    until("the line is empty", || running.measured("cart").queued == 0).await;
    drop(served);
    assert_eq!(get(running.addr, CART, "/").await.body, "free");
    until("nothing is in flight", || running.measured("cart").in_flight == 0).await;
}

#[tokio::test]
async fn a_length_that_is_not_the_bodys_does_not_reach_the_client() {
    let running = cart(config(), &[1], |_, _| async {
        Ok(Response::builder().header("content-length", "999").body(api::full_body("short")).unwrap())
    })
    .await;
    let seen = get(running.addr, CART, "/").await;
    assert_eq!((seen.status, seen.body.as_str()), (200, "short"));
}
