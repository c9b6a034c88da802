use std::time::{Duration, SystemTime};

use api::{
    ObjectKey, ReplicaId, ServeError,
    replica::{FailureReason, HttpProbe, ReplicaPhase},
    session::{WorkerDown, WorkerUp},
};

use crate::fleet::{Fleet, ask, get};

const GRACE: Duration = Duration::from_secs(10);

fn probing(path: &str) -> HttpProbe {
    HttpProbe {
        path: path.into(),
        headers: Vec::new(),
        initial_delay: Duration::ZERO,
        period: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        failure_threshold: 2,
        success_threshold: 1,
    }
}

#[tokio::test]
async fn a_session_begins_with_hello_and_a_replica_goes_through_its_phases() {
    let mut fleet = Fleet::new().await;
    assert!(matches!(fleet.next().await, WorkerUp::Hello(hello) if hello.running.is_empty()));
    let spec = fleet.spec("hello-1", "hello");
    let (id, digest) = (spec.id.clone(), spec.digest.clone());
    fleet.start(spec).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Starting).await;
    while !matches!(fleet.next().await, WorkerUp::Cached { digest: cached } if cached == digest) {}
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Ready).await;
    fleet.stop(&id, GRACE).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Draining).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Stopped).await;
    while !matches!(fleet.next().await, WorkerUp::Heartbeat) {}
}

#[tokio::test]
async fn starting_twice_is_starting_once_and_stopping_what_is_not_there_is_stopped() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("hello-1", "hello");
    let id = spec.id.clone();
    let hello = fleet.ready(spec.clone()).await;
    fleet.start(spec).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Ready).await;
    assert_eq!(ask(&hello, get("/")).await.unwrap().0, 200);
    let unknown = ReplicaId(ObjectKey::new("shop", "never-1"));
    fleet.control.tx.send(WorkerDown::Stop { id: unknown.clone(), grace: GRACE }).await.unwrap();
    fleet.wait(&unknown, |phase| *phase == ReplicaPhase::Stopped).await;
}

#[tokio::test]
async fn draining_lets_requests_in_flight_finish_and_then_refuses() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("probe-1", "probe");
    let id = spec.id.clone();
    let probe = fleet.ready(spec).await;
    let in_flight = tokio::spawn({
        let probe = probe.clone();
        async move { ask(&probe, get("/sleep?ms=400")).await }
    });
    tokio::task::yield_now().await;
    fleet.stop(&id, GRACE).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Draining).await;
    assert_eq!(ask(&probe, get("/")).await.unwrap().0, 200, "gateways that do not know yet are served");
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Stopped).await;
    assert_eq!(in_flight.await.unwrap().unwrap().0, 200);
    assert!(matches!(ask(&probe, get("/")).await, Err(ServeError::Refused { .. })));
}

#[tokio::test]
async fn what_does_not_finish_within_its_grace_is_ended() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("probe-1", "probe");
    let id = spec.id.clone();
    let probe = fleet.ready(spec).await;
    let in_flight = tokio::spawn(async move { ask(&probe, get("/sleep?ms=19000")).await });
    tokio::task::yield_now().await;
    fleet.stop(&id, Duration::from_millis(200)).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Stopped).await;
    assert!(matches!(in_flight.await.unwrap(), Err(ServeError::Unreachable { .. })));
}

#[tokio::test]
async fn a_replica_is_ready_while_its_readiness_probe_succeeds() {
    let mut fleet = Fleet::new().await;
    let mut good = fleet.spec("probe-1", "probe");
    good.probes.startup = Some(probing("/"));
    good.probes.readiness = Some(probing("/status/204"));
    let id = good.id.clone();
    fleet.start(good).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::NotReady).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Ready).await;
}

#[tokio::test]
async fn a_replica_whose_startup_or_liveness_probe_fails_fails() {
    let mut fleet = Fleet::new().await;
    let mut never_up = fleet.spec("probe-1", "probe");
    never_up.probes.startup = Some(probing("/status/500"));
    let mut dead = fleet.spec("probe-2", "probe");
    dead.probes.liveness = Some(probing("/status/500"));
    for (spec, which) in [(never_up, "startup"), (dead, "liveness")] {
        let id = spec.id.clone();
        fleet.start(spec).await;
        match fleet.wait(&id, |phase| matches!(phase, ReplicaPhase::Failed(_))).await {
            ReplicaPhase::Failed(failure) => {
                assert_eq!(failure.reason, FailureReason::Error);
                assert!(failure.message.contains(which), "{}", failure.message);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn probes_drive_no_guest_on_the_thread_that_follows_the_session() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec("probe-1", "probe");
    // Nothing is there: 404.
    spec.probes.startup = Some(probing("/kv/carts/nothing"));
    let id = spec.id.clone();
    fleet.start(spec).await;
    fleet.wait(&id, |phase| matches!(phase, ReplicaPhase::Failed(_))).await;
    let asked_on = fleet.store.asked_on.lock().unwrap();
    assert!(!asked_on.is_empty() && !asked_on.contains(&std::thread::current().id()), "{asked_on:?}");
}

#[tokio::test]
async fn an_image_that_is_not_there_is_an_image_error() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec("hello-1", "hello");
    spec.digest = api::Digest::from_sha256([9; 32]);
    let id = spec.id.clone();
    fleet.start(spec).await;
    let phase = fleet.wait(&id, |phase| matches!(phase, ReplicaPhase::Failed(_))).await;
    assert!(matches!(phase, ReplicaPhase::Failed(failure) if failure.reason == FailureReason::ErrImagePull));
}

#[tokio::test]
async fn a_component_larger_than_its_memory_limit_does_not_start() {
    let mut fleet = Fleet::new().await;
    let mut spec = fleet.spec("hello-1", "hello");
    spec.limits.memory_bytes = 4096;
    let id = spec.id.clone();
    fleet.start(spec).await;
    let phase = fleet.wait(&id, |phase| matches!(phase, ReplicaPhase::Failed(_))).await;
    assert!(matches!(phase, ReplicaPhase::Failed(failure) if failure.reason == FailureReason::OomKilled));
}

#[tokio::test]
async fn replicas_outlive_their_session_and_the_next_one_is_told_of_them() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("hello-1", "hello");
    let hello = fleet.ready(spec.clone()).await;
    fleet.reconnect().await;
    assert_eq!(ask(&hello, get("/")).await.unwrap().0, 200);
    match fleet.next().await {
        WorkerUp::Hello(told) => {
            assert_eq!(told.running.len(), 1);
            assert_eq!(told.running[0].spec, spec);
            assert_eq!(told.running[0].phase, ReplicaPhase::Ready);
            assert_eq!(told.cached, [spec.digest]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_shutdown_drains_every_replica() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("probe-1", "probe");
    let probe = fleet.ready(spec).await;
    let in_flight = tokio::spawn({
        let probe = probe.clone();
        async move { ask(&probe, get("/sleep?ms=200")).await }
    });
    tokio::task::yield_now().await;
    fleet.shut_down().await;
    assert_eq!(in_flight.await.unwrap().unwrap().0, 200);
    assert!(matches!(ask(&probe, get("/")).await, Err(ServeError::Refused { .. })));
}

#[tokio::test]
async fn an_image_stays_in_use_as_long_as_a_replica_of_it_runs() {
    let mut fleet = Fleet::new().await;
    let spec = fleet.spec("hello-1", "hello");
    let (id, manifest) = (spec.id.clone(), fleet.manifest(&spec.digest));
    fleet.ready(spec).await;
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let is_used = async || {
        manifest.set_modified(long_ago).unwrap();
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3600)).await;
        tokio::time::resume();
        // The worker looks after its replicas each second, and says on another thread what it uses.
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if manifest.metadata().unwrap().modified().unwrap() != long_ago {
                return true;
            }
        }
        false
    };
    assert!(is_used().await);
    fleet.stop(&id, GRACE).await;
    fleet.wait(&id, |phase| *phase == ReplicaPhase::Stopped).await;
    assert!(!is_used().await);
}
