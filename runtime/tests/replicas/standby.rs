use std::{sync::Arc, time::Duration};

use api::{
    ServeError,
    replica::{FailureReason, HttpProbe, ReplicaPhase, ReplicaSpec, Reserves},
    session::{Capacity, WorkerDown, WorkerUp},
};
use futures::future::join_all;

use crate::fleet::{Fleet, ask, get};

const GRACE: Duration = Duration::from_secs(10);

impl Fleet {
    async fn stand_by(&mut self, spec: ReplicaSpec) -> Arc<dyn api::Serve> {
        let id = spec.id.clone();
        self.control.tx.send(WorkerDown::Standby(Arc::new(spec))).await.unwrap();
        self.wait(&id, |phase| *phase == ReplicaPhase::Standby).await;
        self.dial(&id)
    }
}

#[tokio::test]
async fn a_standby_is_started_by_its_first_requests_which_all_are_answered_by_one_replica() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("hello-1", "hello");
    let id = spec.id.clone();
    let hello = fleet.stand_by(spec).await;
    let answers = join_all((0..16).map(|_| ask(&hello, get("/")))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().0 == 200));
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Ready).await;
    assert_eq!(ask(&fleet.dial(&id), get("/")).await.unwrap().0, 200, "it is there for who dials later, too");
    fleet.stop(&id, GRACE).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Stopped).await;
    assert!(matches!(ask(&hello, get("/")).await, Err(ServeError::Refused { .. })));
}

#[tokio::test]
async fn a_standby_that_is_told_to_stop_takes_no_request_any_more() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("hello-1", "hello");
    let id = spec.id.clone();
    let hello = fleet.stand_by(spec).await;
    fleet.stop(&id, GRACE).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Stopped).await;
    assert!(matches!(ask(&hello, get("/")).await, Err(ServeError::Refused { .. })));
}

#[tokio::test]
async fn a_standby_that_is_told_to_stop_right_after_its_start_ends_what_it_has_begun_and_gives_back_its_room() {
    let mut fleet =
        Fleet::with(|config| config.capacity = Capacity { cpu_millis: 1000, memory_bytes: 100 << 20, replicas: 10 })
            .await;
    for number in 0..5 {
        let mut spec = fleet.spec(&format!("probe-{number}"), "probe");
        spec.reserves = Reserves { cpu_millis: 0, memory_bytes: 80 << 20 };
        let id = spec.id.clone();
        let probe = fleet.stand_by(spec).await;
        let begun = ask(&probe, get("/")).await.unwrap().0;
        let in_flight = tokio::spawn(async move { ask(&probe, get("/sleep?ms=200")).await });
        tokio::task::yield_now().await;
        fleet.stop(&id, GRACE).await;
        fleet.wait(&id, |phase| *phase == ReplicaPhase::Stopped).await;
        assert_eq!((begun, in_flight.await.unwrap().unwrap().0), (200, 200), "round {number}");
    }
}

#[tokio::test]
async fn a_standby_without_room_refuses_and_starts_when_there_is_some() {
    let mut fleet =
        Fleet::with(|config| config.capacity = Capacity { cpu_millis: 1000, memory_bytes: 100 << 20, replicas: 10 })
            .await;
    let holding = |mut spec: ReplicaSpec, memory_bytes| {
        spec.reserves = Reserves { cpu_millis: 0, memory_bytes };
        spec
    };
    let other = holding(fleet.spec("other-1", "hello"), 80 << 20);
    let other_id = other.id.clone();
    fleet.ready(other).await;
    let sleeper = holding(fleet.spec("sleeper-1", "hello"), 50 << 20);
    let sleeper = fleet.stand_by(sleeper).await;
    let Err(ServeError::Refused { why, .. }) = ask(&sleeper, get("/")).await else { panic!("there is no room") };
    assert!(why.contains("no room"), "{why}");
    fleet.stop(&other_id, GRACE).await;
    fleet.wait(&other_id, |phase| *phase == ReplicaPhase::Stopped).await;
    assert_eq!(ask(&sleeper, get("/")).await.unwrap().0, 200);
}

#[tokio::test]
async fn what_keeps_a_standby_from_starting_is_told_before_anybody_asks() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec("hello-1", "hello");
    spec.limits.memory_bytes = 1;
    let id = spec.id.clone();
    fleet.control.tx.send(WorkerDown::Standby(Arc::new(spec))).await.unwrap();
    let phase = loop {
        match fleet.next().await {
            WorkerUp::Phase { id: of, phase } if of == id => break phase,
            _ => {}
        }
    };
    let ReplicaPhase::Failed(failure) = phase else { panic!("{phase:?}") };
    assert_eq!(failure.reason, FailureReason::OomKilled);
}

#[tokio::test]
async fn requests_wait_until_the_probes_of_what_they_started_say_that_it_is_ready() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec("probe-1", "probe");
    spec.probes.readiness = Some(HttpProbe {
        path: "/".into(),
        headers: Vec::new(),
        initial_delay: Duration::from_millis(200),
        period: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        failure_threshold: 2,
        success_threshold: 1,
    });
    let id = spec.id.clone();
    let probe = fleet.stand_by(spec).await;
    let asked = tokio::spawn(async move { ask(&probe, get("/")).await });
    fleet.wait(&id, |phase| *phase == ReplicaPhase::NotReady).await;
    assert!(!asked.is_finished());
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Ready).await;
    assert_eq!(asked.await.unwrap().unwrap().0, 200);
}

#[tokio::test]
async fn the_next_session_is_told_of_standbys_and_of_what_they_became() {
    let mut fleet = Fleet::new().await;
    let (one, two) = (fleet.spec("one-1", "hello"), fleet.spec("two-1", "hello"));
    let woken = one.id.clone();
    let one = fleet.stand_by(one).await;
    fleet.stand_by(two).await;
    assert_eq!(ask(&one, get("/")).await.unwrap().0, 200);
    fleet.wait(&woken, |phase| *phase == ReplicaPhase::Ready).await;
    fleet.reconnect().await;
    let WorkerUp::Hello(hello) = fleet.next().await else { panic!("a session begins with hello") };
    let phase = |id: &str| hello.running.iter().find(|running| &*running.spec.id.0.name == id).unwrap().phase.clone();
    assert_eq!((phase("one-1"), phase("two-1")), (ReplicaPhase::Ready, ReplicaPhase::Standby));
}

#[tokio::test]
async fn cpu_time_is_told_of_replicas_that_compute() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(ask(&probe, get("/spin?ms=50")).await.unwrap().0, 200);
    let used = loop {
        if let WorkerUp::Usage(usage) = fleet.next().await {
            break usage[0].used;
        }
    };
    assert!(used >= Duration::from_millis(20), "{used:?}");
}
