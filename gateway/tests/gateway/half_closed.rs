//! Clients that end their input and wait, and clients that leave.

use std::{sync::Arc, time::Duration};

use http_body_util::BodyExt;
use tokio::{io::AsyncWriteExt, sync::Notify};

use crate::{
    balancers::balanced_port,
    clients::{connect, to_end},
    fakes::{CART, Running, cart, config, text, until},
};

/// A gateway whose replica answers `/slow` once the gate is opened, and all else at once with what it was sent.
async fn gated(gate: &Arc<Notify>) -> Running {
    let gate = gate.clone();
    cart(config(), &[9], move |_, request| {
        let gate = gate.clone();
        async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            if path == "/slow" {
                gate.notified().await;
            }
            text(format!("{path} {}", String::from_utf8_lossy(&body)))
        }
    })
    .await
}

fn asking(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {CART}\r\n\r\n")
}

#[tokio::test]
async fn a_client_that_has_ended_its_input_gets_its_answer() {
    let gate = Arc::new(Notify::new());
    let running = gated(&gate).await;
    let post = format!("POST /post HTTP/1.1\r\nhost: {CART}\r\ncontent-length: 4\r\n\r\nbody");
    for (request, body) in [(asking("/x"), "/x "), (post, "/post body")] {
        let mut stream = connect(running.addr).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let seen = to_end(&mut stream).await;
        assert_eq!((seen.status, &*seen.body), (200, body));
    }
    let mut slow = connect(running.addr).await;
    slow.write_all(asking("/slow").as_bytes()).await.unwrap();
    slow.shutdown().await.unwrap();
    until("it is served", || running.measured("cart").in_flight == 1).await;
    // Longer than it takes to look whether the client is there.
    tokio::time::sleep(Duration::from_millis(350)).await;
    gate.notify_one();
    let seen = to_end(&mut slow).await;
    assert_eq!((seen.status, &*seen.body), (200, "/slow "), "{seen:?}");
    assert!(seen.head.starts_with("http/1.1 200 ok"), "{}", seen.head);
}

#[tokio::test]
async fn requests_before_the_end_of_the_input_are_all_answered() {
    let gate = Arc::new(Notify::new());
    let running = gated(&gate).await;
    let mut stream = connect(running.addr).await;
    stream.write_all((asking("/one") + &asking("/slow") + &asking("/three")).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    until("the second is served", || running.measured("cart").arrivals == 2).await;
    gate.notify_one();
    let seen = to_end(&mut stream).await;
    let all = seen.head + "\r\n\r\n" + &seen.body;
    assert_eq!(all.to_ascii_lowercase().matches("http/1.1 200 ok").count(), 3, "{all}");
    assert!(all.contains("/slow ") && all.ends_with("/three "), "{all}");
}

#[tokio::test]
async fn a_client_that_has_left_ends_its_request() {
    let gate = Arc::new(Notify::new());
    let running = gated(&gate).await;
    let post = format!("POST /slow HTTP/1.1\r\nhost: {CART}\r\ncontent-length: 4\r\n\r\nbody");
    for request in [asking("/slow"), post] {
        let mut stream = connect(running.addr).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        until("it is served", || running.measured("cart").in_flight == 1).await;
        drop(stream);
        until("it is ended", || running.measured("cart").in_flight == 0).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_behind_requests_that_wait_to_be_read_is_noticed() {
    let gate = Arc::new(Notify::new());
    let running = gated(&gate).await;
    let mut stream = connect(running.addr).await;
    // More than is read along with the first.
    let more = asking(&format!("/{}", "x".repeat(4000))).repeat(8);
    stream.write_all((asking("/slow") + &more).as_bytes()).await.unwrap();
    until("it is served", || running.measured("cart").in_flight == 1).await;
    drop(stream);
    until("it is ended", || running.measured("cart").in_flight == 0).await;
    assert_eq!(running.measured("cart").arrivals, 1);
}

#[tokio::test]
async fn the_port_of_a_service_answers_half_closed_clients_and_all_their_requests() {
    let gate = Arc::new(Notify::new());
    let mut running = gated(&gate).await;
    let addr = balanced_port(&mut running, "cart").await;
    let mut stream = connect(addr).await;
    stream.write_all((asking("/one") + &asking("/slow") + &asking("/three")).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    until("the second is served", || running.measured("cart").arrivals == 2).await;
    gate.notify_one();
    let seen = to_end(&mut stream).await;
    assert_eq!(seen.body.matches("HTTP/1.1 200 OK").count(), 2, "{seen:?}");
    assert!(seen.body.ends_with("/three "), "{seen:?}");
    for request in ["GET /bare HTTP/1.0\r\n\r\n".to_owned(), asking("/x")] {
        let mut stream = connect(addr).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(to_end(&mut stream).await.status, 200, "{request}");
    }
}
