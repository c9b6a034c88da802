use std::{sync::Arc, time::Instant};

use api::{
    ReplicaId, Serve, ServeError,
    replica::{FailureReason, Isolation, ReplicaPhase, ReplicaSpec},
    session::{WorkerDown, WorkerUp},
};
use futures::future::join_all;

use crate::fleet::{Fleet, PATIENCE, ask, get};

/// Room for a few instances of the probe.
const LITTLE: u64 = 1 << 20;

impl Fleet {
    /// The probe with little memory, as it is told to be.
    fn small(&self) -> ReplicaSpec {
        let mut spec = self.spec("probe-1", "probe");
        spec.limits.memory_bytes = LITTLE;
        spec
    }

    /// Waits until a worker says how many requests a replica takes, and for this phase, in this order.
    async fn slots_before(&mut self, wanted: &ReplicaPhase) -> u32 {
        let mut told = None;
        loop {
            match self.next().await {
                WorkerUp::Slots { slots, .. } => told = Some(slots),
                WorkerUp::Phase { phase, .. } if phase == *wanted => return told.expect("slots are told before"),
                WorkerUp::Phase { phase: ReplicaPhase::Failed(failure), .. } => panic!("{failure:?}"),
                _ => {}
            }
        }
    }

    async fn next_slots(&mut self, of: &ReplicaId) -> u32 {
        loop {
            if let WorkerUp::Slots { id, slots } = self.next().await
                && id == *of
            {
                return slots;
            }
        }
    }
}

async fn sleeps(probe: &Arc<dyn Serve>, count: u32) -> Vec<Result<(u16, String), ServeError>> {
    join_all((0..count).map(|_| ask(probe, get("/sleep?ms=300")))).await
}

#[tokio::test]
async fn a_replica_takes_as_many_requests_at_a_time_as_its_memory_has_room_for_and_says_so() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.small();
    let id = spec.id.clone();
    fleet.start(spec).await;
    let slots = fleet.slots_before(&ReplicaPhase::Ready).await;
    assert!((2..=8).contains(&slots), "{slots}");
    let probe = fleet.dial(&id);
    let answers = sleeps(&probe, slots).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|(status, _)| *status == 200)), "{answers:?}");
    let answers = sleeps(&probe, slots + 1).await;
    let refused = answers.iter().filter(|answer| matches!(answer, Err(ServeError::Busy { .. }))).count();
    assert_eq!(refused, 1, "{answers:?}");
    let line = fleet.wait_for_line("requests at a time").await;
    assert!(line.text.contains("resources.limits.memory"), "{}", line.text);
}

#[tokio::test]
async fn instances_that_are_reused_have_room_while_others_are_idle() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.small();
    spec.limits.isolation = Isolation::Replica { max_reuse: 100 };
    let id = spec.id.clone();
    fleet.start(spec).await;
    let slots = fleet.slots_before(&ReplicaPhase::Ready).await;
    let probe = fleet.dial(&id);
    for _ in 0..3 {
        let answers = sleeps(&probe, slots).await;
        assert!(answers.iter().all(|answer| answer.is_ok()), "{answers:?}");
    }
}

#[tokio::test]
async fn a_standby_says_how_many_requests_it_will_take_before_it_takes_any() {
    let mut fleet = Fleet::new().await;
    let first = fleet.small();
    let (id, mut again) = (first.id.clone(), first.clone());
    fleet.control.tx.send(WorkerDown::Standby(Arc::new(first))).await.unwrap();
    let slots = fleet.slots_before(&ReplicaPhase::Standby).await;
    let answers = sleeps(&fleet.dial(&id), slots).await;
    assert!(answers.iter().all(|answer| answer.is_ok()), "{answers:?}");
    // What is known of a component holds for the next replica of it, of which no instance is tried.
    again.id = ReplicaId(api::ObjectKey::new("shop", "probe-2"));
    fleet.control.tx.send(WorkerDown::Standby(Arc::new(again))).await.unwrap();
    assert_eq!(fleet.slots_before(&ReplicaPhase::Standby).await, slots);
}

#[tokio::test]
async fn the_next_session_is_told_how_many_requests_a_replica_takes() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.small();
    let id = spec.id.clone();
    fleet.start(spec).await;
    let slots = fleet.slots_before(&ReplicaPhase::Ready).await;
    fleet.reconnect().await;
    assert!(matches!(fleet.next().await, WorkerUp::Hello(_)));
    assert_eq!(fleet.next_slots(&id).await, slots);
}

#[tokio::test]
async fn what_a_replica_takes_follows_what_instances_take_at_work() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec("probe-1", "probe");
    spec.limits.memory_bytes = 200 << 20;
    let id = spec.id.clone();
    let probe = fleet.ready(spec).await;
    for _ in 0..20 {
        assert_eq!(ask(&probe, get("/alloc?mb=20")).await.unwrap().0, 200);
    }
    let slots = fleet.next_slots(&id).await;
    assert!(slots < 20, "{slots}");
}

#[tokio::test]
async fn a_first_burst_of_guests_that_grow_waits_for_memory_instead_of_ending() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec("probe-1", "probe");
    spec.limits.memory_bytes = 100 << 20;
    let probe = fleet.ready(spec).await;
    // Each would fit, and five of them at a time do.
    let answers = join_all((0..30).map(|_| ask(&probe, get("/hold?mb=18&ms=50")))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|(status, _)| *status == 200)), "{answers:?}");
}

#[tokio::test]
async fn guests_that_all_wait_for_memory_do_not_wait_for_each_other() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec("probe-1", "probe");
    spec.limits.memory_bytes = 20 << 20;
    let probe = fleet.ready(spec).await;
    let answers =
        join_all(["/hold?mb=12&ms=200", "/hold?mb=12&ms=0", "/hold?mb=30&ms=0"].map(|path| ask(&probe, get(path))))
            .await;
    assert!(answers[0].is_ok() && answers[1].is_ok(), "{answers:?}");
    assert!(matches!(answers[2], Err(ServeError::OutOfMemory { .. })), "{answers:?}");
}

#[tokio::test]
async fn a_namespace_that_takes_all_memory_of_a_worker_keeps_no_other_from_its_part() {
    let mut fleet = Fleet::with(|config| config.capacity.memory_bytes = 200 << 20).await;
    let greedy = fleet.probe(|spec| spec.limits.memory_bytes = 4 << 30).await;
    let mut spec = fleet.spec("probe-1", "probe");
    spec.id.0.namespace = "bank".into();
    spec.reserves.memory_bytes = 40 << 20;
    let bank = fleet.ready(spec).await;
    let mut held: Vec<_> = (0..8).map(|_| Box::pin(ask(&greedy, get("/hold?mb=30&ms=3000")))).collect();
    // What its pod asks for is there at once, and so it is where others want more than is left.
    for held in &mut held {
        assert!(futures::poll!(held).is_pending());
    }
    for _ in 0..5 {
        assert_eq!(ask(&bank, get("/alloc?mb=20")).await.unwrap().0, 200);
    }
    let answers = join_all(held).await;
    assert!(answers.iter().any(|answer| answer.as_ref().is_ok_and(|(status, _)| *status == 200)), "{answers:?}");
    for answer in &answers {
        match answer {
            Ok((status, _)) => assert_eq!(*status, 200),
            Err(ServeError::Busy { why, .. } | ServeError::Trapped { reason: why }) => {
                assert!(why.contains("the worker's memory for guests"), "{why}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(ask(&greedy, get("/alloc?mb=100")).await.unwrap().0, 200, "it can be borrowed again");
    match ask(&greedy, get("/alloc?mb=300")).await {
        Err(ServeError::Trapped { reason }) => assert!(reason.contains("--guest-memory"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn memory_that_a_large_guest_uses_stays_for_the_next_instance_and_holds_nothing_of_the_last() {
    // For one instance at a time.
    let mut fleet = Fleet::with(|config| config.kept_memory_bytes = 40 << 20).await;
    let probe = fleet.probe(|_| {}).await;
    let began = Instant::now();
    loop {
        let before = page_faults();
        assert_eq!(ask(&probe, get("/hold?mb=8&ms=0")).await.unwrap().0, 200);
        // Where it is not kept, each of the 2048 pages beyond what always is comes by a fault.
        if page_faults() - before < 500 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "its pages are faulted in again for each request");
        tokio::task::yield_now().await;
    }
    let answers = join_all((0..20).map(|_| ask(&probe, get("/counter")))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|(_, count)| count == "1\n")), "{answers:?}");
}

/// Page faults of this process, as far as no disk was needed for them.
fn page_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name of the program stands in brackets and may hold anything.
    stat.rsplit(')').next().unwrap().split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_instance_that_does_not_fit_the_limit_is_an_error_at_the_start() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec("probe-1", "probe");
    spec.limits.memory_bytes = 64 << 10;
    let id = spec.id.clone();
    fleet.start(spec).await;
    let ReplicaPhase::Failed(failure) = fleet.wait(&id, |phase| matches!(phase, ReplicaPhase::Failed(_))).await else {
        panic!("it cannot start")
    };
    assert_eq!(failure.reason, FailureReason::OomKilled);
    for part in ["memory limit of 65536 bytes", "at least", "resources.limits.memory"] {
        assert!(failure.message.contains(part), "{part}: {}", failure.message);
    }
}
