use std::time::Duration;

use api::{
    Bucket, Digest, ObjectKey, ReplicaId, Taint, TaintEffect, Timestamp, WorkerName,
    replica::{
        Failure, FailureReason, Grants, Limits, LogLine, LogSource, Probes, ReplicaPhase, ReplicaSpec, Reserves,
    },
    session::{Capacity, CpuUsage, WorkerHello, WorkerUp},
};

use super::{
    Peers, Seal,
    decision::{Asked, decide},
    heard::cut,
    placed::Placed,
};
use crate::{identity::now, store::MemoryStore};

const START: Timestamp = Timestamp::from_secs(1_000);
const GRACE: Duration = Duration::from_secs(30);

fn worker(name: &str) -> WorkerName {
    WorkerName(name.into())
}

fn id(namespace: &str, name: &str) -> ReplicaId {
    ReplicaId(ObjectKey::new(namespace, name))
}

fn image(byte: u8) -> Digest {
    Digest::from_sha256([byte; 32])
}

fn bucket(namespace: &str, name: &str) -> Bucket {
    Bucket { namespace: namespace.to_owned(), name: name.to_owned() }
}

/// A replica of an image, which is granted these stores.
fn spec(id: ReplicaId, byte: u8, stores: &[&str]) -> ReplicaSpec {
    ReplicaSpec {
        revision: "app-1".to_owned(),
        created: START,
        image: "app:1".to_owned(),
        digest: image(byte),
        environment: Default::default(),
        grants: Grants { outbound: Vec::new(), key_value: stores.iter().map(|&store| store.to_owned()).collect() },
        limits: Limits::default(),
        reserves: Reserves::default(),
        probes: Probes::default(),
        seal: Vec::new(),
        id,
    }
}

/// What was placed: one that runs, one that was told to stop, one that has stopped, one that was taken away.
fn placed() -> Placed {
    let mut placed = Placed::default();
    for (name, byte) in [("runs", 1), ("drains", 2), ("stopped", 3), ("lost", 4)] {
        placed.place(&spec(id(name, "a"), byte, &["default"]));
    }
    placed.stop(&id("drains", "a"), START + GRACE);
    placed.stopped(&id("stopped", "a"), START);
    placed.take_away(&id("lost", "a"), START);
    placed
}

#[test]
fn a_worker_may_what_follows_from_what_is_placed_on_it() {
    let (soon, late) = (START + GRACE, START + Duration::from_secs(3600));
    let store =
        |namespace: &str, name: &str| format!("may not use store `{name}` of namespace `{namespace}`: no replica");
    let no_image = |byte| format!("may not have image {}: no replica of it is placed there", image(byte));
    // What is asked, when, and what the refusal says; nothing: it may.
    let table: &[(Asked<'_>, Timestamp, &str)] = &[
        (Asked::KeyValue(&bucket("runs", "default")), late, ""),
        (Asked::KeyValue(&bucket("runs", "other")), soon, &store("runs", "other")),
        (Asked::KeyValue(&bucket("drains", "default")), soon, ""),
        (Asked::KeyValue(&bucket("drains", "default")), late, &store("drains", "default")),
        (Asked::KeyValue(&bucket("stopped", "default")), soon, &store("stopped", "default")),
        (Asked::KeyValue(&bucket("lost", "default")), soon, &store("lost", "default")),
        (Asked::KeyValue(&bucket("strange", "default")), soon, &store("strange", "default")),
        (Asked::Image(&image(1)), late, ""),
        (Asked::Image(&image(2)), soon, ""),
        (Asked::Image(&image(2)), late, &no_image(2)),
        (Asked::Image(&image(3)), soon, &no_image(3)),
        (Asked::Image(&image(9)), soon, &no_image(9)),
        (Asked::Says(&id("runs", "a")), late, ""),
        (Asked::Says(&id("drains", "a")), late, ""),
        (Asked::Says(&id("stopped", "a")), soon, ""),
        (Asked::Says(&id("runs", "b")), soon, "speaks of replica runs/b, which was not placed there"),
        (Asked::Compiled(&image(1)), soon, ""),
        (Asked::Compiled(&image(9)), soon, "of which no replica was placed there"),
        (Asked::Label("zone"), soon, ""),
        (Asked::Label("sampan.dev/tier"), soon, "has no label `sampan.dev/tier`"),
        (Asked::Taint("gpu"), soon, ""),
        (Asked::Taint("sampan.dev/dedicated"), soon, "has no taint `sampan.dev/dedicated`"),
    ];
    let placed = placed();
    for (asked, at, refusal) in table {
        let decided = decide(&worker("w"), asked, &placed, *at).map_err(|refusal| refusal.to_string());
        match refusal.is_empty() {
            true => assert_eq!(decided, Ok(()), "{asked:?}"),
            false => {
                let said = decided.expect_err(&format!("{asked:?}"));
                assert!(said.contains(refusal) && said.starts_with("worker `w` "), "{asked:?}: {said}");
            }
        }
    }
}

#[test]
fn being_told_to_stop_again_gives_no_more_time() {
    let mut placed = placed();
    let late = START + GRACE + GRACE;
    placed.stop(&id("drains", "a"), late);
    assert!(!placed.may_use(&bucket("drains", "default"), late));
    // One that was taken away and still runs, as its worker says when it is back, has its grace once.
    placed.take_away(&id("runs", "a"), START);
    assert!(!placed.may_use(&bucket("runs", "default"), START));
    placed.stop(&id("runs", "a"), START + GRACE);
    assert!(placed.may_use(&bucket("runs", "default"), START));
    placed.stop(&id("runs", "a"), late);
    assert!(!placed.may_use(&bucket("runs", "default"), late));
}

#[test]
fn what_has_stopped_has_its_last_words_and_is_forgotten() {
    let mut placed = placed();
    placed.expire(START + Duration::from_secs(30));
    assert!(placed.knows(&id("stopped", "a")));
    placed.expire(START + Duration::from_secs(3600));
    assert!(!placed.knows(&id("stopped", "a")));
    assert!(placed.knows(&id("runs", "a")) && placed.knows(&id("drains", "a")));
    // A session that begins says what runs; what was to end and is not there has ended.
    placed.runs([spec(id("runs", "a"), 1, &[])].iter(), START);
    placed.expire(START + Duration::from_secs(3600));
    assert!(placed.knows(&id("runs", "a")) && !placed.knows(&id("drains", "a")));
    assert!(placed.may_use(&bucket("runs", "default"), START), "what it says of its grants changes nothing");
}

#[test]
fn messages_are_cut_to_what_may_be_said() {
    let (own, other) = (id("runs", "a"), id("runs", "b"));
    let placed = placed();
    let heard = |message| cut(message, &mut |asked| decide(&worker("w"), asked, &placed, START).is_ok());
    let phase = |id: &ReplicaId, phase| WorkerUp::Phase { id: id.clone(), phase };
    let failed = || ReplicaPhase::Failed(Failure { reason: FailureReason::Error, message: String::new() });
    let line = LogLine { at: START, source: LogSource::Stdout, text: "forged".to_owned() };
    for (message, is_heard) in [
        (phase(&own, ReplicaPhase::Ready), true),
        (phase(&other, ReplicaPhase::Ready), false),
        (phase(&other, failed()), false),
        (phase(&other, ReplicaPhase::Stopped), true),
        (WorkerUp::Log { id: own.clone(), lines: vec![line.clone()] }, true),
        (WorkerUp::Log { id: other.clone(), lines: vec![line] }, false),
        (WorkerUp::Slots { id: other.clone(), slots: 1 }, false),
        (WorkerUp::Traps { id: other.clone(), count: 1, last: String::new() }, false),
        (WorkerUp::Cached { digest: image(9) }, false),
        (WorkerUp::Heartbeat, true),
    ] {
        let shown = format!("{message:?}");
        assert_eq!(heard(message).is_some(), is_heard, "{shown}");
    }
    let used = |id: &ReplicaId| CpuUsage { id: id.clone(), used: Duration::from_secs(1) };
    match heard(WorkerUp::Usage(vec![used(&other), used(&own)])) {
        Some(WorkerUp::Usage(left)) => assert_eq!(left, [used(&own)]),
        other => panic!("{other:?}"),
    }
    assert!(heard(WorkerUp::Usage(vec![used(&other)])).is_none());
    let taint = |key: &str| Taint { key: key.to_owned(), value: String::new(), effect: TaintEffect::NoSchedule };
    let hello = WorkerHello {
        name: worker("w"),
        capacity: Capacity { cpu_millis: 1, memory_bytes: 1, replicas: 1 },
        labels: [("zone", "a"), ("sampan.dev/tier", "gold")].map(|(key, value)| (key.into(), value.into())).into(),
        taints: vec![taint("gpu"), taint("sampan.dev/dedicated")],
        address: None,
        running: Vec::new(),
        cached: Vec::new(),
    };
    match heard(WorkerUp::Hello(hello)) {
        Some(WorkerUp::Hello(left)) => {
            assert_eq!(left.labels.into_keys().collect::<Vec<_>>(), ["zone"]);
            assert_eq!(left.taints, [taint("gpu")]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_refused_is_counted_and_one_worker_gains_nothing_for_another() {
    let peers = Peers::default();
    peers.place(&worker("w1"), &spec(id("shop", "a"), 1, &["default"]));
    let (store, w1, w2) = (bucket("shop", "default"), worker("w1"), worker("w2"));
    assert_eq!(peers.call(&w1, api::Call::KeyValue(&store)), Ok(()));
    assert!(peers.call(&w2, api::Call::KeyValue(&store)).is_err());
    assert!(peers.hear(&w2, WorkerUp::Slots { id: id("shop", "a"), slots: 1 }).is_none());
    assert_eq!(peers.refused(), 2);
    peers.stopped(&w1, &id("shop", "a"));
    assert!(peers.call(&w1, api::Call::KeyValue(&store)).is_err());
    assert!(!peers.is_used(&w1));
    peers.forget(&w1);
    assert!(peers.hear(&w1, WorkerUp::Slots { id: id("shop", "a"), slots: 1 }).is_none());
}

#[tokio::test]
async fn a_seal_holds_for_one_worker_and_for_all_that_rights_follow_from_and_outlives_the_process() {
    let store = MemoryStore::new(now());
    let seal = Seal::open(&store).await.unwrap();
    let mut sealed = spec(id("shop", "a"), 1, &["default"]);
    seal.put(&worker("w1"), &mut sealed);
    let seal = Seal::open(&store).await.unwrap();
    assert!(seal.holds(&worker("w1"), &sealed));
    assert!(!seal.holds(&worker("w2"), &sealed));
    let changes: [fn(&mut ReplicaSpec); 7] = [
        |spec| spec.id = id("bank", "a"),
        |spec| spec.revision = "app-2".to_owned(),
        |spec| spec.digest = image(2),
        |spec| spec.grants.key_value.push("other".to_owned()),
        |spec| spec.grants.outbound.push("example.com".to_owned()),
        |spec| spec.reserves.memory_bytes = u64::MAX,
        |spec| spec.seal.clear(),
    ];
    for change in changes {
        let mut forged = sealed.clone();
        change(&mut forged);
        assert!(!seal.holds(&worker("w1"), &forged), "{forged:?}");
    }
    assert!(!Seal::open(&MemoryStore::new(now())).await.unwrap().holds(&worker("w1"), &sealed));
}
