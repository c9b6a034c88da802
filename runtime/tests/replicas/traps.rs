use api::{
    ServeError,
    replica::{FailureReason, Isolation, LogSource, ReplicaPhase},
};

use crate::fleet::{Fleet, ask, get, guest};

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

#[tokio::test]
async fn an_instance_that_gave_no_answer_is_not_used_again_and_the_log_says_what_to_do() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.isolation = Isolation::Replica { max_reuse: 100 }).await;
    assert_eq!(ask(&probe, get("/counter")).await.unwrap().1, "1\n");
    assert_eq!(ask(&probe, get("/counter")).await.unwrap().1, "2\n");
    match ask(&probe, get("/no-answer")).await {
        Err(ServeError::Trapped { reason }) => assert!(reason.contains("without an answer"), "{reason}"),
        other => panic!("{other:?}"),
    }
    fleet.wait_for_line("sampan.dev/isolation: request").await;
    assert_eq!(ask(&probe, get("/counter")).await.unwrap().1, "1\n", "another instance");
    for way in ["/trap", "/exit?code=0"] {
        assert!(ask(&probe, get(way)).await.is_err());
        assert_eq!(ask(&probe, get("/counter")).await.unwrap().1, "1\n", "{way}");
    }
}

#[tokio::test]
async fn a_guest_whose_engine_answers_once_has_an_instance_for_each_request_whatever_the_annotation_says() {
    let mut fleet = Fleet::new().await;
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    let field = [&[1][..], &text("processed-by"), &[1], &text("ComponentizeJS"), &text("0.22.0")].concat();
    let section = [text("producers"), field].concat();
    let component = [guest("probe"), vec![0, section.len() as u8], section].concat();
    let mut spec = fleet.spec_of("probe-1", "script:test", component);
    spec.limits.isolation = Isolation::Replica { max_reuse: 100 };
    let script = fleet.ready(spec).await;
    for _ in 0..3 {
        assert_eq!(ask(&script, get("/counter")).await.unwrap(), (200, "1\n".into()));
    }
    let line = fleet.wait_for_line("ComponentizeJS 0.22.0").await;
    assert!(line.text.contains("sampan.dev/isolation"), "{}", line.text);
}
