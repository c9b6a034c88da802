use api::{
    full_body,
    replica::{FailureReason, LogLevel, LogSource, ReplicaPhase},
};
use futures::future::join_all;

use crate::fleet::{Fleet, ask, ask_patiently, get, request};

#[tokio::test]
async fn the_environment_is_seen_both_ways() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(ask(&probe, get("/env")).await.unwrap().1, r#"{"GREETING":"ahoy"}"#);
    assert_eq!(ask(&probe, get("/config")).await.unwrap().1, r#"{"GREETING":"ahoy"}"#);
    assert_eq!(ask(&probe, get("/config/GREETING")).await.unwrap(), (200, "ahoy".into()));
    assert_eq!(ask(&probe, get("/config/OTHER")).await.unwrap().0, 404);
}

#[tokio::test]
async fn a_component_of_earlier_drafts_gets_what_is_offered_now() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("drafts-1", "drafts");
    let drafts = fleet.ready(spec).await;
    for name in ["store-draft", "runtime-draft", "runtime-rc.1"] {
        assert_eq!(ask(&drafts, get(&format!("/{name}/GREETING"))).await.unwrap(), (200, "ahoy".into()), "{name}");
        assert_eq!(ask(&drafts, get(&format!("/{name}/OTHER"))).await.unwrap().0, 404, "{name}");
    }
    let (_, all) = ask(&drafts, get("/all")).await.unwrap();
    assert_eq!(all.lines().collect::<Vec<_>>(), [r#"Ok([("GREETING", "ahoy")])"#; 3]);
    assert_eq!(ask(&drafts, get("/log/a-line")).await.unwrap().0, 200);
    let line = fleet.wait_for_line("a-line").await;
    assert_eq!((line.source, line.text.as_str()), (LogSource::Logging(LogLevel::Warn), "drafts: a-line"));
}

#[tokio::test]
async fn what_a_guest_writes_becomes_its_log() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    for path in ["/stdout?msg=out", "/stderr?msg=err", "/log?level=warn&msg=look"] {
        assert_eq!(ask(&probe, get(path)).await.unwrap().0, 200);
    }
    assert_eq!(fleet.wait_for_line("out").await.source, LogSource::Stdout);
    assert_eq!(fleet.wait_for_line("err").await.source, LogSource::Stderr);
    let line = fleet.wait_for_line("look").await;
    assert_eq!((line.source, line.text.as_str()), (LogSource::Logging(LogLevel::Warn), "probe: look"));
}

#[tokio::test]
async fn values_are_kept_in_granted_stores() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(ask(&probe, get("/kv/carts/a")).await.unwrap().0, 404);
    assert_eq!(ask(&probe, request("PUT", "/kv/carts/a", full_body("apple"))).await.unwrap().0, 200);
    assert_eq!(ask(&probe, get("/kv/carts/a")).await.unwrap(), (200, "apple".into()));
    assert_eq!(ask(&probe, get("/kv-incr/carts/n?by=5")).await.unwrap().1, "5\n");
    assert_eq!(ask(&probe, get("/kv-incr/carts/n?by=-2")).await.unwrap().1, "3\n");
    let (_, found) = ask(&probe, get("/kv-batch/carts?keys=a,b")).await.unwrap();
    assert_eq!(found, r#"{"a":"apple","b":null}"#);
    assert_eq!(ask(&probe, get("/kv-list/carts")).await.unwrap().1, r#"{"keys":["a","n"],"pages":1}"#);
    assert_eq!(ask(&probe, request("DELETE", "/kv/carts/a", api::empty_body())).await.unwrap().0, 200);
    assert_eq!(ask(&probe, get("/kv/carts/a")).await.unwrap().0, 404);
}

#[tokio::test]
async fn parallel_swaps_lose_nothing() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    let swaps = join_all((0..64).map(|_| ask_patiently(&probe, "/kv-cas/carts/total"))).await;
    assert!(swaps.iter().all(|(status, _)| *status == 200), "{swaps:?}");
    assert_eq!(ask(&probe, get("/kv/carts/total")).await.unwrap().1, "64");
}

#[tokio::test]
async fn a_store_that_is_not_granted_is_denied_and_the_log_says_which_annotation_grants_it() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(ask(&probe, get("/kv/secrets/a")).await.unwrap().0, 403);
    let line = fleet.wait_for_line("`secrets`").await;
    assert!(line.text.contains("sampan.dev/key-value"), "{}", line.text);
}

#[tokio::test]
async fn a_store_without_a_name_is_the_only_one_that_is_granted() {
    let mut fleet = Fleet::new().await;
    let one = fleet.probe(|_| {}).await;
    assert_eq!(ask(&one, request("PUT", "/kv//a", full_body("apple"))).await.unwrap().0, 200);
    assert_eq!(ask(&one, get("/kv/carts/a")).await.unwrap(), (200, "apple".into()));
    let mut spec = fleet.spec("probe-2", "probe");
    spec.grants.key_value.push("prices".into());
    let two = fleet.ready(spec).await;
    assert_eq!(ask(&two, get("/kv//a")).await.unwrap().0, 403);
    let line = fleet.wait_for_line("store ``").await;
    assert!(line.text.contains("grants carts, prices"), "{}", line.text);
}

#[tokio::test]
async fn a_component_that_imports_stores_without_a_grant_does_not_start() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec("probe-1", "probe");
    spec.grants.key_value.clear();
    let id = spec.id.clone();
    fleet.start(spec).await;
    match fleet.wait(&id, |phase| matches!(phase, ReplicaPhase::Failed(_))).await {
        ReplicaPhase::Failed(failure) => {
            assert_eq!(failure.reason, FailureReason::CreateContainerConfigError);
            assert!(failure.message.contains("wasi:keyvalue/store@0.2.0-draft2"), "{}", failure.message);
            assert!(failure.message.contains("sampan.dev/key-value"), "{}", failure.message);
        }
        other => panic!("{other:?}"),
    }
}
