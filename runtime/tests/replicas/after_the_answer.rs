use std::time::Duration;

use api::replica::{Isolation, ReplicaPhase};
use futures::StreamExt;
use http_body_util::BodyExt;

use crate::fleet::{Fleet, answer, ask, ask_patiently, get, request};

/// Reads an answer as a server does that has announced its length: no further than that.
async fn read_as_far_as_announced(replica: &std::sync::Arc<dyn api::Serve>, path: &str) -> usize {
    let response = answer(replica, get(path)).await.unwrap();
    let announced: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = response.into_body().into_data_stream();
    let mut read = 0;
    while read < announced {
        read += body.next().await.expect("more is announced").unwrap().len();
    }
    read
}

#[tokio::test]
async fn a_guest_goes_on_after_an_answer_of_an_announced_length() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(read_as_far_as_announced(&probe, "/after?ms=100&msg=done+later").await, 5);
    fleet.wait_for_line("done later").await;
    // Nothing is announced, and nothing is read.
    assert_eq!(read_as_far_as_announced(&probe, "/after?ms=100&bytes=0&msg=done+of+nothing").await, 0);
    fleet.wait_for_line("done of nothing").await;
}

#[tokio::test]
async fn a_guest_goes_on_after_an_answer_of_no_announced_length() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(ask(&probe, get("/after?ms=100&chunked=1&msg=done+later")).await.unwrap(), (200, "xxxxx".into()));
    fleet.wait_for_line("done later").await;
}

#[tokio::test]
async fn a_guest_goes_on_after_an_answer_that_is_its_head_alone() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    drop(answer(&probe, request("HEAD", "/after?ms=100&msg=done+later", api::empty_body())).await.unwrap());
    fleet.wait_for_line("done later").await;
}

#[tokio::test]
async fn a_guest_that_writes_without_end_where_its_answer_has_no_body_is_ended() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| {
        spec.limits.concurrency = 1;
        spec.limits.request_deadline = Duration::from_secs(600);
    });
    let probe = probe.await;
    drop(answer(&probe, request("HEAD", "/endless", api::empty_body())).await.unwrap());
    fleet.wait_for_line("still wrote a body").await;
    assert_eq!(ask_patiently(&probe, "/counter").await.0, 200);
    // More than is read of it, in pieces: a guest that minds that it cannot write ends by itself.
    drop(answer(&probe, request("HEAD", "/stream?chunks=1000000&bytes=65536", api::empty_body())).await.unwrap());
    assert_eq!(ask_patiently(&probe, "/counter").await.0, 200);
}

#[tokio::test]
async fn a_trap_after_an_answer_that_is_its_head_alone_is_told() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    drop(answer(&probe, request("HEAD", "/after?ms=50&trap=1", api::empty_body())).await.unwrap());
    let (count, last) = fleet.wait_for_traps().await;
    assert_eq!(count, 1);
    assert!(last.contains("trapped"), "{last}");
}

#[tokio::test]
async fn work_after_the_answer_counts_until_it_ends_and_the_next_request_waits_for_it() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.concurrency = 1).await;
    for round in 0..3 {
        read_as_far_as_announced(&probe, &format!("/after?ms=100&msg=round+{round}")).await;
    }
    assert_eq!(ask(&probe, get("/counter")).await.unwrap().0, 200);
    fleet.wait_for_line("round 2").await;
}

#[tokio::test]
async fn work_after_the_answer_ends_at_the_deadline_of_the_request() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.request_deadline = Duration::from_millis(500)).await;
    read_as_far_as_announced(&probe, "/after?ms=60000").await;
    fleet.wait_for_line("after its answer").await;
    assert_eq!(ask(&probe, get("/counter")).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_trap_after_the_answer_is_told() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    read_as_far_as_announced(&probe, "/after?ms=50&trap=1").await;
    let (count, last) = fleet.wait_for_traps().await;
    assert_eq!(count, 1);
    assert!(last.contains("trapped"), "{last}");
}

#[tokio::test]
async fn a_replica_that_stops_lets_work_after_answers_end() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("probe-1", "probe");
    let id = spec.id.clone();
    let probe = fleet.ready(spec).await;
    read_as_far_as_announced(&probe, "/after?ms=400&msg=done+while+it+drains").await;
    fleet.stop(&id, Duration::from_secs(20)).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Stopped).await;
    fleet.wait_for_line("done while it drains").await;
}

#[tokio::test]
async fn an_instance_that_works_on_after_its_answer_is_reused_when_it_is_done() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.isolation = Isolation::Replica { max_reuse: 100 }).await;
    assert_eq!(ask(&probe, get("/counter")).await.unwrap().1, "1\n");
    read_as_far_as_announced(&probe, "/after?ms=50&msg=done").await;
    fleet.wait_for_line("done").await;
    assert_eq!(ask_patiently(&probe, "/counter").await.0, 200);
}

#[tokio::test]
async fn a_client_that_leaves_before_all_of_the_answer_ends_the_guest() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.concurrency = 1).await;
    let mut response = answer(&probe, get("/after?ms=19000&bytes=4000000")).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    assert_eq!(ask_patiently(&probe, "/counter").await.0, 200);
}
