use std::time::Duration;

use api::{
    Bucket, Digest, ObjectKey, ReplicaId, Taint, TaintEffect, Timestamp, WorkerName,
    replica::{
        Failure, FailureReason, Grants, Limits, LogLine, LogSource, Probes, ReplicaPhase, ReplicaSpec, Reserves,
    },
    session::{Capacity, CpuUsage, WorkerHello, WorkerUp},
};
use kube_api::identity::now;
use store::MemoryStore;

use super::{
    Peers, Seal,
    decision::{Asked, decide},
    heard::cut,
    placed::{Claim, Placed},
};

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
        (Asked::Label("zone", "a"), soon, ""),
        (Asked::Label("example.com/zone", ""), soon, ""),
        (Asked::Label("sampan.dev/tier", "gold"), soon, "gives itself no label `sampan.dev/tier`"),
        (Asked::Label("topology.kubernetes.io/zone", "a"), soon, ""),
        (Asked::Label("kubernetes.io/arch", "wasm32"), soon, ""),
        (Asked::Label("node.kubernetes.io/anything", "a"), soon, ""),
        (Asked::Label("own.kubelet.kubernetes.io/anything", "a"), soon, ""),
        (Asked::Label("notkubernetes.io/anything", "a"), soon, ""),
        (Asked::Label("node-restriction.kubernetes.io/pci", "yes"), soon, "gives itself no label `node-restriction"),
        (Asked::Label("node-role.kubernetes.io/control-plane", ""), soon, "gives itself no label `node-role"),
        (Asked::Label("kubernetes.io/role", "a"), soon, "gives itself no label `kubernetes.io/role`"),
        (Asked::Label("deep.k8s.io/anything", "a"), soon, "gives itself no label `deep.k8s.io/anything`"),
        (Asked::Label("two words", "a"), soon, "which is not written as one"),
        (Asked::Label("zone", &"a".repeat(64)), soon, "which is not written as one"),
        (Asked::Taint("gpu", "yes"), soon, ""),
        (Asked::Taint("sampan.dev/dedicated", ""), soon, "gives itself no taint `sampan.dev/dedicated`"),
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
    assert!(placed.knows(&id("runs", "a")) && placed.knows(&id("lost", "a")));
    assert!(!placed.knows(&id("drains", "a")), "its grace is over, whatever its worker does not say");
    // A session that begins says what runs; what was to end and is not there has ended.
    placed.runs(&[id("runs", "a")].into(), START);
    placed.expire(START + Duration::from_secs(3600));
    assert!(placed.knows(&id("runs", "a")) && !placed.knows(&id("lost", "a")));
    assert!(placed.may_use(&bucket("runs", "default"), START));
}

#[test]
fn what_is_over_is_not_placed_again_by_saying_that_it_runs() {
    let peers = Peers::default();
    let (w, runs, ended, lost) = (worker("w"), id("shop", "runs"), id("shop", "ended"), id("shop", "lost"));
    let at = START;
    // Of what is not written down nothing was placed there.
    assert_eq!(peers.claim(&w, &runs, at), Claim::Over);
    peers.runs(&w, &[runs.clone(), ended.clone()].into());
    assert!(!peers.is_used(&w), "what the scheduler does not take up has no rights");
    for id in [&runs, &ended, &lost] {
        peers.place(&w, &spec(id.clone(), 1, &["default"]));
    }
    peers.stop(&w, &ended, GRACE);
    peers.take_away(&lost);
    assert_eq!([&runs, &ended, &lost].map(|id| peers.claim(&w, id, at)), [Claim::Holds, Claim::Over, Claim::Open]);
    // What it left out, and what has been forgotten meanwhile, comes back as little.
    peers.stopped(&w, &runs);
    assert_eq!(peers.claim(&w, &runs, at), Claim::Over);
    assert_eq!(peers.claim(&w, &id("shop", "left-out"), at), Claim::Over);
    peers.forget(&w);
    assert_eq!([&runs, &ended, &lost].map(|id| peers.claim(&w, id, at)), [Claim::Over; 3]);
}

#[test]
fn words_and_labels_are_bounded() {
    let (own, placed) = (id("runs", "a"), placed());
    let heard = |message| cut(message, &mut |asked| decide(&worker("w"), asked, &placed, START).is_ok());
    let long = || "é".repeat(1 << 20);
    let line = LogLine { at: START, source: LogSource::Stdout, text: long() };
    match heard(WorkerUp::Log { id: own.clone(), lines: vec![line] }) {
        Some(WorkerUp::Log { lines, .. }) => assert_eq!(lines[0].text.len(), LogLine::MAX_BYTES),
        other => panic!("{other:?}"),
    }
    match heard(WorkerUp::Traps { id: own.clone(), count: 1, last: long() }) {
        Some(WorkerUp::Traps { last, .. }) => assert_eq!(last.len(), 4096),
        other => panic!("{other:?}"),
    }
    let failure = Failure { reason: FailureReason::Error, message: long() };
    match heard(WorkerUp::Phase { id: own, phase: ReplicaPhase::Failed(failure) }) {
        Some(WorkerUp::Phase { phase: ReplicaPhase::Failed(failure), .. }) => assert_eq!(failure.message.len(), 4096),
        other => panic!("{other:?}"),
    }
    let hello = WorkerHello {
        name: worker("w"),
        capacity: Capacity { cpu_millis: 1, memory_bytes: 1, replicas: 1 },
        labels: (0..10_000).map(|number| (format!("label-{number}"), String::new())).collect(),
        taints: Vec::new(),
        address: None,
        running: Vec::new(),
        cached: vec![image(1); 20_000],
    };
    match heard(WorkerUp::Hello(hello)) {
        Some(WorkerUp::Hello(left)) => assert_eq!((left.labels.len(), left.cached.len()), (100, 10_000)),
        other => panic!("{other:?}"),
    }
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
    assert_eq!(peers.refused(), [(w2.clone(), 2)]);
    peers.stopped(&w1, &id("shop", "a"));
    assert!(peers.call(&w1, api::Call::KeyValue(&store)).is_err());
    assert!(!peers.is_used(&w1));
    peers.forget(&w1);
    assert!(peers.hear(&w1, WorkerUp::Slots { id: id("shop", "a"), slots: 1 }).is_none());
}

#[tokio::test]
async fn a_seal_holds_for_one_worker_and_for_all_that_rights_follow_from_and_outlives_the_process() {
    let store = MemoryStore::new(now());
    let mut seal = Seal::open(&store).await.unwrap();
    let mut sealed = spec(id("shop", "a"), 1, &["default"]);
    seal.go_on_from(START);
    seal.put(&worker("w1"), &mut sealed, Timestamp::from_secs(1));
    let at = seal.last();
    assert!(at > START, "a clock that was set back makes nothing earlier");
    let seal = Seal::open(&store).await.unwrap();
    assert_eq!(seal.holds(&worker("w1"), &sealed), Some(at));
    assert_eq!(seal.holds(&worker("w2"), &sealed), None);
    let changes: [fn(&mut ReplicaSpec); 8] = [
        |spec| spec.id = id("bank", "a"),
        |spec| spec.revision = "app-2".to_owned(),
        |spec| spec.digest = image(2),
        |spec| spec.grants.key_value.push("other".to_owned()),
        |spec| spec.grants.outbound.push("example.com".to_owned()),
        |spec| spec.reserves.memory_bytes = u64::MAX,
        |spec| spec.seal.clear(),
        |spec| spec.seal[7] ^= 1,
    ];
    for change in changes {
        let mut forged = sealed.clone();
        change(&mut forged);
        assert_eq!(seal.holds(&worker("w1"), &forged), None, "{forged:?}");
    }
    assert_eq!(Seal::open(&MemoryStore::new(now())).await.unwrap().holds(&worker("w1"), &sealed), None);
}
