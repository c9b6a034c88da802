use api::{
    ServeError,
    replica::{FailureReason, LogSource, ReplicaPhase},
};

use crate::fleet::{Fleet, ask, get};

#[tokio::test]
async fn a_trap_answers_its_request_alone_and_is_logged_with_its_backtrace() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    match ask(&probe, get("/trap")).await {
        Err(ServeError::Trapped { reason }) => assert!(reason.contains("trapped"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(ask(&probe, get("/")).await.unwrap().0, 200);
    let frame = fleet.wait_for_line("wasm function").await;
    assert_eq!(frame.source, LogSource::Sampan);
    let (count, last) = fleet.wait_for_traps().await;
    assert_eq!(count, 1);
    assert!(last.contains("trapped"), "{last}");
}

#[tokio::test]
async fn a_panic_says_why_in_the_log() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert!(matches!(ask(&probe, get("/panic?msg=overboard")).await, Err(ServeError::Trapped { .. })));
    assert_eq!(fleet.wait_for_line("overboard").await.source, LogSource::Stderr);
}

#[tokio::test]
async fn every_way_to_end_without_an_answer_is_told() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    for (path, part) in [
        ("/recurse", "trapped"),
        ("/exit?code=3", "exited"),
        ("/no-answer", "without an answer"),
        ("/fail", "asked to fail"),
    ] {
        match ask(&probe, get(path)).await {
            Err(ServeError::Trapped { reason }) => assert!(reason.contains(part), "{path}: {reason}"),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_replica_that_only_traps_fails() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("probe-1", "probe");
    let id = spec.id.clone();
    let probe = fleet.ready(spec).await;
    while !matches!(ask(&probe, get("/trap")).await, Err(ServeError::Refused { .. })) {
        // A request is served in place, and the worker needs its turn to draw the conclusion.
        tokio::task::yield_now().await;
    }
    match fleet.wait(&id, |phase| matches!(phase, ReplicaPhase::Failed(_))).await {
        ReplicaPhase::Failed(failure) => {
            assert_eq!(failure.reason, FailureReason::Error);
            assert!(failure.message.contains("in a row"), "{}", failure.message);
        }
        other => panic!("{other:?}"),
    }
}
