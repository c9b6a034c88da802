//! Deployments whose number follows the traffic.

use std::time::Duration;

use api::{
    ObjectKey, ReplicaId, WorkerName,
    replica::{Failure, FailureReason, ReplicaPhase},
    session::{RunningReplica, ServiceSample, WorkerUp},
};
use scheduler::{
    Action, Deployment, Event, GatewayId, ReplicaState,
    autoscale::{Autoscaler, PolicyKind},
};

use crate::bench::{Bench, app, deployment, running, template, worker};

const GATEWAY: GatewayId = GatewayId(1);
const IDLE: Duration = Duration::from_secs(2);
const WINDOW: Duration = Duration::from_millis(100);

fn autoscaler(min: u32, max: u32) -> Autoscaler {
    Autoscaler {
        deployment: app(),
        object: None,
        min,
        max,
        policy: PolicyKind::SqrtStaffing,
        targets: Vec::new(),
        behavior: None,
        idle_after: Some(IDLE),
    }
}

fn sample(arrivals: u64, in_flight: u32, queued: u32) -> ServiceSample {
    ServiceSample {
        service: app(),
        window: WINDOW,
        arrivals,
        completed: arrivals,
        failed: 0,
        in_flight,
        queued,
        latency_sum: Duration::from_millis(arrivals),
        served: arrivals,
        service_sum: Duration::from_millis(arrivals),
        presence: WINDOW * in_flight,
    }
}

impl Bench {
    /// So many workers, and a Deployment that is scaled between these.
    fn scaled(workers: u32, (min, max): (u32, u32), replicas: u32) -> Self {
        let mut bench = Self::with_workers(workers);
        bench.step(Event::Autoscaler(autoscaler(min, max).into()));
        bench.step(Event::Deployment(deployment(replicas)));
        bench
    }

    /// At zero, with a standby that is ready.
    fn asleep(workers: u32) -> (Self, ReplicaId) {
        let mut bench = Self::scaled(workers, (0, 10), 0);
        let id = bench.standbys().remove(0);
        bench.phase(&id, ReplicaPhase::Standby);
        (bench, id)
    }

    /// Gateways report windows for so long; all workers are there.
    fn windows(&mut self, span: Duration, workers: u32, of: Option<ServiceSample>) -> Vec<Action> {
        let mut actions = Vec::new();
        for _ in 0..span.as_millis() / WINDOW.as_millis() {
            self.now = self.now + WINDOW;
            for number in 0..workers {
                self.step(Event::Worker { worker: worker(number), message: WorkerUp::Heartbeat });
                actions.append(&mut self.actions);
            }
            let samples = of.iter().map(|sample| (app(), sample.clone())).collect();
            self.step(Event::Sampled { gateway: GATEWAY, samples });
            actions.append(&mut self.actions);
            self.step(Event::Tick);
            actions.append(&mut self.actions);
        }
        actions
    }

    fn wait(&mut self, queued: u32, in_flight: u32) {
        self.step(Event::Waiting { gateway: GATEWAY, service: app(), deployment: app(), queued, in_flight });
    }

    fn standbys(&self) -> Vec<ReplicaId> {
        let standby = self.actions.iter().filter_map(|action| match action {
            Action::Standby { id, .. } => Some(id.clone()),
            _ => None,
        });
        standby.collect()
    }

    fn wanted(&self) -> u32 {
        self.scheduler.wanted_replicas(&app()).expect("it is there")
    }
}

#[test]
fn at_zero_a_place_is_kept_where_the_first_request_starts_a_replica() {
    let (mut bench, id) = Bench::asleep(1);
    let view = bench.view(&id);
    assert_eq!(view.state, ReplicaState::Standby { ready: true });
    let worker_view = bench.scheduler.workers().next().unwrap();
    assert_eq!((worker_view.replicas, worker_view.reserved.memory_bytes), (0, 0), "it holds nothing");
    assert_eq!(bench.status().replicas, 0);
    bench.phase(&id, ReplicaPhase::Ready);
    assert!(bench.starts().is_empty(), "the request has started it");
    assert_eq!((bench.wanted(), bench.status().replicas, bench.status().ready), (1, 1, 1));
    assert_eq!(bench.view(&id).state, ReplicaState::Ready);
    assert_eq!(bench.scheduler.workers().next().unwrap().replicas, 1);
}

#[test]
fn without_requests_there_is_none_again_and_another_place_is_kept() {
    let (mut bench, id) = Bench::asleep(1);
    bench.phase(&id, ReplicaPhase::Ready);
    let actions = bench.windows(IDLE + WINDOW * 15, 1, None);
    let stopped = |action: &Action| matches!(action, Action::Stop { id: stopped, .. } if *stopped == id);
    assert!(actions.iter().any(stopped));
    let next = actions.iter().find_map(|action| match action {
        Action::Standby { id, .. } => Some(id.clone()),
        _ => None,
    });
    assert_ne!(next.expect("another stands by"), id, "no name is used twice");
    assert_eq!(bench.wanted(), 0);
}

#[test]
fn requests_that_find_no_place_start_a_replica_in_the_same_step() {
    let mut bench = Bench::scaled(1, (0, 10), 0);
    bench.wait(1, 0);
    assert_eq!(bench.starts().len(), 1);
    assert_eq!(bench.stops().len(), 1, "what stood by is not needed any more");
}

#[test]
fn requests_that_wait_and_were_not_told_of_at_once_are_seen_in_the_next_sample() {
    let (mut bench, id) = Bench::asleep(1);
    bench.phase(&id, ReplicaPhase::Ready);
    bench.windows(WINDOW, 1, Some(sample(100, 100, 0)));
    assert_eq!(bench.wanted(), 1);
    bench.windows(WINDOW, 1, Some(sample(150, 100, 50)));
    assert_eq!(bench.wanted(), 2, "and not a tick later");
}

#[test]
fn a_burst_starts_what_it_needs_at_once_and_no_more_than_the_maximum() {
    let (mut bench, id) = Bench::asleep(1);
    bench.phase(&id, ReplicaPhase::Ready);
    bench.wait(250, 100);
    assert_eq!((bench.wanted(), bench.starts().len()), (4, 3), "100 at a time each");
    bench.wait(5000, 100);
    assert_eq!(bench.wanted(), 10);
}

#[test]
fn while_a_gateway_is_silent_nothing_is_scaled_down() {
    let (mut bench, id) = Bench::asleep(1);
    bench.phase(&id, ReplicaPhase::Ready);
    bench.windows(IDLE / 2, 1, None);
    bench.pass(20, &[0]);
    assert_eq!(bench.wanted(), 1);
    bench.windows(IDLE + WINDOW * 20, 1, None);
    assert_eq!(bench.wanted(), 0);
}

#[test]
fn a_place_moves_when_its_worker_goes() {
    type Going = fn(&WorkerName) -> Event;
    let ways: [(&str, Going); 3] = [
        ("dies", |name| Event::WorkerDied(name.clone())),
        ("leaves", |name| Event::Worker { worker: name.clone(), message: WorkerUp::Leaving }),
        ("is cordoned", |name| Event::Cordon { worker: name.clone(), cordoned: true }),
    ];
    for (way, going) in ways {
        let (mut bench, id) = Bench::asleep(2);
        let on = bench.view(&id).worker.unwrap();
        bench.step(going(&on));
        let next = bench.standbys().remove(0);
        assert_ne!(bench.view(&next).worker.unwrap(), on, "it {way}");
        bench.phase(&next, ReplicaPhase::Standby);
        assert!(way == "dies" || bench.stops() == [id], "the old place serves until the new one does");
    }
}

#[test]
fn a_rollout_at_zero_keeps_the_old_place_until_the_new_one_is_ready() {
    let (mut bench, old) = Bench::asleep(1);
    bench.step(Event::Deployment(Deployment { template: template("b"), generation: 2, ..deployment(0) }));
    let new = bench.standbys().remove(0);
    assert!(bench.stops().is_empty());
    bench.phase(&new, ReplicaPhase::Standby);
    assert_eq!(bench.stops(), [old]);
    assert_eq!(bench.view(&new).revision, ObjectKey::new("default", "app-b"));
}

#[test]
fn a_request_during_a_rollout_is_served_by_the_old_version_until_the_new_one_runs() {
    let (mut bench, old) = Bench::asleep(1);
    bench.step(Event::Deployment(Deployment { template: template("b"), generation: 2, ..deployment(0) }));
    bench.phase(&old, ReplicaPhase::Ready);
    let new = bench.starts().remove(0);
    assert!(!bench.stops().contains(&old));
    bench.phase(&new, ReplicaPhase::Ready);
    assert_eq!(bench.stops(), [old]);
}

#[test]
fn what_cannot_be_made_ready_is_told_before_a_request_comes_and_tried_again() {
    let mut bench = Bench::scaled(1, (0, 10), 0);
    let id = bench.standbys().remove(0);
    let failure = Failure { reason: FailureReason::InvalidImage, message: "it does not compile".to_owned() };
    bench.phase(&id, ReplicaPhase::Failed(failure));
    assert_eq!(bench.reason("ReplicaFailure"), Some("InvalidImage"));
    bench.pass(6, &[0]);
    let again = bench.standbys().remove(0);
    bench.phase(&again, ReplicaPhase::Standby);
    assert_eq!(bench.reason("ReplicaFailure"), None);
}

#[test]
fn a_new_control_plane_learns_the_number_from_what_runs_and_stops_nothing() {
    let mut bench = Bench::new();
    bench.step(Event::Autoscaler(autoscaler(0, 10).into()));
    bench.step(Event::Deployment(deployment(1)));
    bench.step(Event::KnownWorker { worker: worker(0), cordoned: false });
    bench.step(Event::Loaded);
    bench.hello(0, vec![running("a", "one"), running("a", "two"), running("a", "three")]);
    bench.step(Event::Tick);
    assert_eq!(bench.wanted(), 3);
    assert!(bench.stops().is_empty() && bench.starts().is_empty());
    bench.windows(IDLE / 2, 1, None);
    assert_eq!(bench.wanted(), 3, "not all of the time without a request is known");
}

#[test]
fn a_new_control_plane_keeps_the_place_that_is_there() {
    let mut bench = Bench::new();
    bench.step(Event::Autoscaler(autoscaler(0, 10).into()));
    bench.step(Event::Deployment(deployment(1)));
    bench.step(Event::KnownWorker { worker: worker(0), cordoned: false });
    bench.step(Event::Loaded);
    bench.hello(0, vec![RunningReplica { phase: ReplicaPhase::Standby, ..running("a", "one") }]);
    bench.step(Event::Tick);
    assert_eq!(bench.wanted(), 0);
    assert!(bench.stops().is_empty() && bench.starts().is_empty() && bench.standbys().is_empty());
}

#[test]
fn a_number_that_a_user_writes_is_where_the_autoscaler_goes_on_from_and_zero_keeps_it_off() {
    let mut bench = Bench::scaled(1, (2, 10), 2);
    bench.work_off();
    bench.step(Event::Deployment(Deployment { generation: 2, ..deployment(5) }));
    assert_eq!(bench.wanted(), 5);
    bench.step(Event::Deployment(Deployment { generation: 3, ..deployment(0) }));
    bench.wait(10, 0);
    assert_eq!(bench.wanted(), 0, "zero below the minimum keeps it off, as in Kubernetes");
    bench.step(Event::Deployment(Deployment { generation: 4, ..deployment(1) }));
    assert_eq!(bench.wanted(), 2);
}

#[test]
fn the_number_that_was_decided_is_written_and_is_no_users_when_it_comes_back() {
    let (mut bench, id) = Bench::asleep(1);
    bench.phase(&id, ReplicaPhase::Ready);
    let written = |bench: &Bench| {
        bench.actions.iter().any(|action| matches!(action, Action::DeploymentReplicas { replicas: 1, .. }))
    };
    assert!(written(&bench));
    bench.wait(250, 100);
    bench.step(Event::Deployment(Deployment { generation: 2, autoscaled: true, ..deployment(1) }));
    assert_eq!(bench.wanted(), 4, "it is the number of before");
}

#[test]
fn a_number_that_a_user_writes_is_theirs_also_where_it_is_one_that_was_decided_before() {
    let (mut bench, id) = Bench::asleep(1);
    bench.phase(&id, ReplicaPhase::Ready);
    bench.wait(250, 100);
    assert_eq!(bench.wanted(), 4, "that is on its way to be written");
    bench.step(Event::Deployment(Deployment { generation: 2, ..deployment(6) }));
    assert_eq!(bench.wanted(), 6);
    bench.step(Event::Deployment(Deployment { generation: 3, ..deployment(4) }));
    assert_eq!(bench.wanted(), 4);
}

#[test]
fn a_user_who_writes_zero_is_not_overruled_by_a_number_that_was_on_its_way() {
    let mut bench = Bench::scaled(1, (2, 10), 2);
    bench.work_off();
    bench.step(Event::Deployment(Deployment { generation: 2, ..deployment(5) }));
    bench.windows(Duration::from_secs(600), 1, None);
    assert_eq!(bench.wanted(), 2, "that is on its way to be written");
    bench.step(Event::Deployment(Deployment { generation: 3, ..deployment(0) }));
    let again = |action: &Action| matches!(action, Action::DeploymentReplicas { replicas: 0, .. });
    assert!(bench.actions.iter().any(again), "what is on its way is written over");
    bench.step(Event::Deployment(Deployment { generation: 4, autoscaled: true, ..deployment(2) }));
    assert_eq!(bench.wanted(), 0);
}

#[test]
fn without_an_autoscaler_the_number_stays_what_it_was_last() {
    let (mut bench, id) = Bench::asleep(1);
    bench.phase(&id, ReplicaPhase::Ready);
    bench.wait(250, 100);
    bench.work_off();
    bench.step(Event::AutoscalerDeleted(app()));
    assert_eq!(bench.wanted(), 4);
    assert!(bench.stops().is_empty());
}

#[test]
fn steady_requests_keep_what_they_need() {
    let (mut bench, id) = Bench::asleep(1);
    bench.phase(&id, ReplicaPhase::Ready);
    bench.windows(Duration::from_secs(20), 1, Some(sample(10, 1, 0)));
    assert_eq!(bench.wanted(), 1);
}

#[test]
fn a_replica_counts_as_taking_what_its_worker_says_and_so_does_the_next_one() {
    let (mut bench, id) = Bench::asleep(1);
    bench.step(Event::Worker { worker: worker(0), message: WorkerUp::Slots { id: id.clone(), slots: 25 } });
    assert_eq!(bench.view(&id).slots, Some(25));
    bench.phase(&id, ReplicaPhase::Ready);
    bench.windows(WINDOW, 1, Some(sample(100, 25, 75)));
    assert_eq!(bench.wanted(), 4, "where a hundred would fit one replica that takes its whole concurrency");
    let of_another = Event::Worker { worker: worker(7), message: WorkerUp::Slots { id: id.clone(), slots: 1 } };
    bench.step(of_another);
    assert_eq!(bench.view(&id).slots, Some(25), "only its own worker knows");
}

#[test]
fn an_autoscaler_that_is_removed_at_zero_leaves_word_of_what_to_do() {
    let (mut bench, _) = Bench::asleep(1);
    bench.step(Event::AutoscalerDeleted(app()));
    let said = bench.messages("ScaledToZero");
    assert!(said.len() == 1 && said[0].contains("kubectl scale deployment/app --replicas=1 -n default"), "{said:?}");
}
