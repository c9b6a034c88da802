use api::{
    ObjectKey, ReplicaId, TaintEffect, TaintMark, Timestamp, WorkerMarks,
    replica::{Failure, FailureReason, ReplicaPhase},
    session::{Capacity, RunningReplica, WorkerUp},
};
use scheduler::{Action, Event, ReplicaState, Revision};

use crate::bench::{Bench, app, deployment, digest, running, template, trap, worker};

/// Two workers and one replica, ready.
fn serving() -> (Bench, ReplicaId) {
    let mut bench = Bench::with_workers(2);
    bench.step(Event::Deployment(deployment(1)));
    bench.work_off();
    let id = bench.ids().remove(0);
    (bench, id)
}

/// The number of the worker that a replica is on.
fn number(bench: &Bench, id: &ReplicaId) -> u32 {
    if bench.view(id).worker == Some(worker(0)) { 0 } else { 1 }
}

#[test]
fn a_replica_that_traps_is_started_again_in_its_place_after_a_growing_pause() {
    let (mut bench, id) = serving();
    let mut pauses = Vec::new();
    for restarts in 1..=3 {
        bench.phase(&id, trap());
        let ReplicaState::BackOff { until } = bench.view(&id).state else { panic!("it waits") };
        pauses.push(until.since(bench.now).as_millis());
        bench.now = until;
        bench.step(Event::Tick);
        assert_eq!(bench.starts(), std::slice::from_ref(&id));
        assert_eq!(bench.view(&id).restarts, restarts);
        bench.phase(&id, ReplicaPhase::Ready);
    }
    assert_eq!(pauses, [100, 200, 400]);
}

#[test]
fn a_replica_of_a_silent_worker_is_unknown_and_then_replaced_elsewhere() {
    let (mut bench, id) = serving();
    let (silent, other) = (number(&bench, &id), 1 - number(&bench, &id));
    bench.pass(5, &[other]);
    assert_eq!(bench.view(&id).state, ReplicaState::Unknown);
    assert_eq!(bench.messages("NodeNotReady").len(), 1);
    bench.pass(6, &[other]);
    let replacement = bench.starts().remove(0);
    assert_ne!(replacement, id);
    assert_eq!(bench.ids(), [replacement]);
    bench.work_off();
    bench.step(Event::Worker { worker: worker(silent), message: WorkerUp::Heartbeat });
    assert_eq!(bench.stops(), [id], "what was replaced is told to stop when its worker is heard of again");
}

#[test]
fn room_on_a_worker_that_is_heard_of_again_is_free_when_what_ran_there_has_stopped_and_not_when_an_earlier_run_had_failed()
 {
    let mut bench = Bench::new();
    bench.step(Event::Loaded);
    let one = Capacity { cpu_millis: 4000, memory_bytes: 4 << 30, replicas: 1 };
    bench.hello_sized(0, one);
    bench.step(Event::Deployment(deployment(1)));
    let first = bench.ids().remove(0);
    // It starts there and fails; both reports are late, so that the start is repeated, and then it runs.
    bench.pass(11, &[]);
    let second = bench.ids().remove(0);
    assert_ne!(first, second, "its worker was silent for too long");
    bench.step(Event::Worker { worker: worker(0), message: WorkerUp::Heartbeat });
    assert_eq!(bench.stops(), std::slice::from_ref(&first));
    let report = |phase| Event::Worker { worker: worker(0), message: WorkerUp::Phase { id: first.clone(), phase } };
    bench.step(report(trap()));
    assert!(bench.starts().is_empty(), "what failed was its first run");
    assert_eq!(bench.stops(), std::slice::from_ref(&first), "it is asked whether it runs");
    bench.step(report(ReplicaPhase::Draining));
    assert!(bench.starts().is_empty());
    bench.step(report(ReplicaPhase::Stopped));
    assert_eq!(bench.starts(), [second]);
}

#[test]
fn a_replica_that_is_stopped_counts_until_it_has_stopped_also_when_an_earlier_run_of_it_had_failed() {
    let (mut bench, id) = serving();
    bench.step(Event::DeploymentDeleted(app()));
    assert_eq!(bench.stops(), std::slice::from_ref(&id));
    bench.phase(&id, trap());
    assert_eq!(bench.stops(), std::slice::from_ref(&id), "it is asked whether it runs");
    assert_eq!(bench.ids(), std::slice::from_ref(&id));
    bench.phase(&id, ReplicaPhase::Stopped);
    assert!(bench.ids().is_empty());
}

#[test]
fn a_worker_is_told_to_stop_what_nobody_knows_of() {
    let (mut bench, id) = serving();
    let stray = ReplicaId(ObjectKey::new("default", "app-a-stray"));
    let number = number(&bench, &id);
    let report =
        |phase| Event::Worker { worker: worker(number), message: WorkerUp::Phase { id: stray.clone(), phase } };
    bench.step(report(ReplicaPhase::Ready));
    assert_eq!(bench.stops(), std::slice::from_ref(&stray));
    bench.step(report(ReplicaPhase::Ready));
    assert!(bench.stops().is_empty(), "it was told");
    bench.step(report(ReplicaPhase::Stopped));
    assert_eq!(bench.ids(), [id]);
}

#[test]
fn a_worker_that_comes_back_in_time_keeps_its_replicas_without_a_restart() {
    let (mut bench, id) = serving();
    let silent = number(&bench, &id);
    bench.step(Event::WorkerDisconnected(worker(silent)));
    assert_eq!(bench.view(&id).state, ReplicaState::Unknown);
    let mut report = running("a", "x");
    report.spec.id = id.clone();
    bench.hello(silent, vec![report]);
    assert_eq!((bench.view(&id).state, bench.view(&id).restarts), (ReplicaState::Ready, 0));
    assert!(bench.starts().is_empty() && bench.stops().is_empty());
}

#[test]
fn a_replica_that_was_to_stop_while_its_worker_was_silent_is_told_so_again_when_it_is_back() {
    let (mut bench, id) = serving();
    let silent = number(&bench, &id);
    bench.step(Event::WorkerDisconnected(worker(silent)));
    bench.step(Event::DeploymentDeleted(app()));
    let mut report = running("a", "x");
    report.spec.id = id.clone();
    bench.hello(silent, vec![report]);
    assert_eq!(bench.stops(), std::slice::from_ref(&id));
    assert_eq!(bench.view(&id).state, ReplicaState::Stopping);
    bench.work_off();
    assert!(bench.ids().is_empty());
}

#[test]
fn a_worker_that_is_said_to_be_gone_is_forgotten_at_once_and_its_replicas_are_replaced() {
    let (mut bench, id) = serving();
    let gone = number(&bench, &id);
    bench.step(Event::Forget(worker(gone)));
    assert_eq!(bench.ids(), std::slice::from_ref(&id), "a worker that is connected stays");
    bench.step(Event::Cordon { worker: worker(gone), cordoned: true });
    bench.step(Event::WorkerDisconnected(worker(gone)));
    bench.step(Event::Forget(worker(gone)));
    assert!(bench.actions.contains(&Action::RemoveWorker(worker(gone))));
    let replacement = bench.starts().remove(0);
    assert_eq!(bench.view(&replacement).worker, Some(worker(1 - gone)));
    bench.work_off();
    // What comes back is a new worker, which nobody has cordoned; what it still runs is one too many.
    let mut late = running("a", "x");
    late.spec.id = id;
    bench.hello(gone, vec![late]);
    assert_eq!(bench.stops().len(), 1);
    bench.work_off();
    assert_eq!(bench.ids().len(), 1);
    let view = bench.scheduler.workers().find(|view| view.name == worker(gone)).expect("it is there");
    assert!(view.ready && !view.cordoned);
}

#[test]
fn a_new_control_plane_does_not_wait_for_a_worker_that_is_said_to_be_gone() {
    let mut bench = Bench::new();
    for number in [0, 1] {
        bench.step(Event::KnownWorker { worker: worker(number), cordoned: false });
    }
    bench.step(Event::Revision(stored_revision(1)));
    bench.step(Event::Deployment(deployment(1)));
    bench.step(Event::Loaded);
    bench.hello(0, Vec::new());
    assert!(bench.starts().is_empty(), "the other may run it");
    bench.step(Event::Forget(worker(1)));
    assert_eq!(bench.starts().len(), 1);
}

#[test]
fn a_worker_that_began_anew_is_told_to_start_its_replicas_again() {
    let (mut bench, id) = serving();
    let restarted = number(&bench, &id);
    bench.step(Event::WorkerDisconnected(worker(restarted)));
    bench.hello(restarted, Vec::new());
    assert_eq!(bench.starts(), std::slice::from_ref(&id));
    assert_eq!(bench.view(&id).restarts, 1);
}

fn stored_revision(replicas: u32) -> Revision {
    Revision {
        key: api::ObjectKey::new("default", "app-a"),
        deployment: Some(app()),
        number: 1,
        template: template("a"),
        replicas,
        min_ready: Default::default(),
        digest: Some(digest()),
        created: Timestamp::from_secs(1),
    }
}

/// A control plane begins over a store that wants so many replicas.
fn restarted(replicas: u32) -> Bench {
    let mut bench = Bench::new();
    bench.step(Event::Revision(stored_revision(replicas)));
    bench.step(Event::Deployment(deployment(replicas)));
    bench.step(Event::Loaded);
    bench
}

#[test]
fn a_new_control_plane_adopts_what_runs_and_starts_only_what_is_missing() {
    let mut bench = restarted(3);
    bench.hello(0, vec![running("a", "x"), running("a", "y")]);
    assert!(bench.starts().is_empty() && bench.stops().is_empty(), "others may yet report");
    bench.pass(3, &[0]);
    assert_eq!((bench.starts().len(), bench.stops().len()), (1, 0));
    assert_eq!(bench.ids().len(), 3);
}

#[test]
fn a_new_control_plane_stops_what_is_too_much_or_belongs_to_nothing() {
    let mut bench = restarted(1);
    let stranger = running("gone", "z");
    bench.hello(0, vec![running("a", "x"), running("a", "y"), stranger.clone()]);
    assert!(bench.stops().is_empty());
    bench.pass(3, &[0]);
    assert_eq!((bench.stops().len(), bench.starts().len()), (2, 0));
    assert!(bench.stops().contains(&stranger.spec.id));
}

#[test]
fn what_was_rolled_out_but_not_written_before_the_end_is_not_stopped() {
    let mut bench = restarted(2);
    let mut newer = deployment(2);
    (newer.template, newer.generation) = (template("b"), 2);
    bench.step(Event::Deployment(newer));
    bench.hello(0, vec![running("b", "x"), running("b", "y")]);
    bench.pass(3, &[0]);
    assert!(bench.stops().is_empty());
    assert_eq!(bench.status().available, 2);
}

#[test]
fn a_start_without_an_answer_is_sent_again_and_a_stop_until_it_is_answered() {
    let mut bench = Bench::with_workers(1);
    bench.step(Event::Deployment(deployment(1)));
    let id = bench.starts().remove(0);
    bench.pass(6, &[0]);
    assert_eq!(bench.starts(), std::slice::from_ref(&id));
    bench.phase(&id, ReplicaPhase::Ready);
    bench.step(Event::Deployment(deployment(0)));
    bench.pass(80, &[0]);
    assert_eq!(bench.stops(), [id.clone(), id.clone()]);
    bench.phase(&id, ReplicaPhase::Stopped);
    bench.pass(80, &[0]);
    assert!(bench.stops().is_empty() && bench.ids().is_empty());
}

#[test]
fn a_replica_that_somebody_deletes_is_drained_and_replaced() {
    let (mut bench, id) = serving();
    bench.step(Event::DeleteReplica(id.clone()));
    assert_eq!(bench.stops(), std::slice::from_ref(&id));
    assert_eq!(bench.starts().len(), 1);
    bench.work_off();
    assert_eq!(bench.ids().len(), 1);
    assert_ne!(bench.ids(), [id]);
}

#[test]
fn a_cordoned_worker_keeps_what_it_has_and_gets_nothing_new() {
    let (mut bench, id) = serving();
    let cordoned = worker(number(&bench, &id));
    bench.step(Event::Cordon { worker: cordoned.clone(), cordoned: true });
    bench.step(Event::Deployment(deployment(4)));
    assert!(bench.views().iter().all(|view| view.id == id || view.worker != Some(cordoned.clone())));
    assert!(bench.stops().is_empty());
}

#[test]
fn a_worker_that_users_taint_and_label_holds_what_fits_that() {
    let (mut bench, id) = serving();
    let on = number(&bench, &id);
    let marked = worker(on);
    let taint = |value: Option<&str>| WorkerMarks {
        labels: [("disk".to_owned(), Some("ssd".to_owned()))].into(),
        taints: vec![TaintMark { key: "gone".into(), effect: TaintEffect::NoExecute, value: value.map(str::to_owned) }],
        ..WorkerMarks::default()
    };
    bench.step(Event::Marked { worker: marked.clone(), marks: taint(Some("")) });
    bench.work_off();
    assert!(
        bench.views().iter().all(|view| view.worker.is_some() && view.worker != Some(marked.clone())),
        "it is moved"
    );
    // Also when it comes anew, and says of itself what it said before.
    bench.hello(on, Vec::<RunningReplica>::new());
    let view = bench.scheduler.workers().find(|view| view.name == marked).expect("it is there");
    assert_eq!((view.labels["disk"].as_str(), view.taints.len()), ("ssd", 1));
    bench.step(Event::Marked { worker: marked.clone(), marks: taint(None) });
    bench.step(Event::Deployment(deployment(4)));
    assert!(bench.views().iter().any(|view| view.worker == Some(marked.clone())), "it takes replicas again");
}

#[test]
fn what_cannot_be_placed_says_why_and_is_placed_when_a_worker_comes() {
    let mut bench = Bench::with_workers(0);
    bench.step(Event::Deployment(deployment(1)));
    let waiting = bench.views().remove(0);
    assert_eq!(waiting.state, ReplicaState::Unplaced("no nodes available to schedule pods".to_owned()));
    assert_eq!(bench.messages("FailedScheduling"), ["no nodes available to schedule pods"]);
    bench.hello(0, Vec::<RunningReplica>::new());
    assert_eq!(bench.starts(), [waiting.id]);
}

#[test]
fn a_revision_of_the_users_own_keeps_its_number_of_replicas() {
    let mut bench = Bench::with_workers(1);
    let own = |replicas| Revision { deployment: None, number: 0, digest: None, ..stored_revision(replicas) };
    bench.step(Event::Revision(own(2)));
    assert_eq!(bench.starts().len(), 2);
    bench.work_off();
    bench.step(Event::Revision(own(1)));
    assert_eq!(bench.stops().len(), 1);
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::ResolveImage { .. })));
}

#[test]
fn a_replica_that_lacks_a_secret_is_tried_as_soon_as_one_is_written_in_its_namespace_and_counts_no_restart() {
    let mut bench = Bench::with_workers(1);
    bench.step(Event::Deployment(deployment(1)));
    let id = bench.starts().remove(0);
    let failure = Failure { reason: FailureReason::CreateContainerConfigError, message: "no secret".to_owned() };
    bench.step(Event::StartFailed { id: id.clone(), failure });
    bench.step(Event::ConfigStored("elsewhere".into()));
    assert_eq!(bench.starts(), []);
    bench.step(Event::ConfigStored(id.0.namespace.clone()));
    assert_eq!(bench.starts(), std::slice::from_ref(&id));
    assert_eq!(bench.view(&id).restarts, 0);
}
