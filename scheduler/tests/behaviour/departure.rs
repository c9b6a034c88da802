use std::sync::Arc;

use api::{ReplicaId, Taint, TaintEffect, WorkerName, replica::ReplicaPhase, session::WorkerUp};
use scheduler::{Action, Deployment, Event, ReplicaState, Template, Toleration};

use crate::bench::{Bench, deployment, running, template, trap, worker};

/// So many workers and one replica, ready; and the worker that it is on.
fn serving(workers: u32) -> (Bench, ReplicaId, WorkerName) {
    let mut bench = Bench::with_workers(workers);
    bench.step(Event::Deployment(deployment(1)));
    bench.work_off();
    let id = bench.ids().remove(0);
    let on = bench.view(&id).worker.expect("it is placed");
    (bench, id, on)
}

fn other(on: &WorkerName) -> WorkerName {
    if *on == worker(0) { worker(1) } else { worker(0) }
}

#[test]
fn what_a_dead_worker_ran_is_replaced_in_the_same_step_and_nothing_is_left_over_there() {
    let (mut bench, id, on) = serving(2);
    bench.step(Event::WorkerDied(on.clone()));
    let replacement = bench.starts().remove(0);
    assert_ne!(replacement, id);
    assert_eq!(bench.view(&replacement).worker, Some(other(&on)));
    let dead = bench.scheduler.workers().find(|view| view.name == on).unwrap();
    assert_eq!((dead.ready, dead.replicas, dead.reserved.memory_bytes), (false, 0, 0));
    let number = u32::from(on == worker(1));
    bench.hello(number, Vec::new());
    assert!(bench.starts().is_empty() && bench.stops().is_empty(), "it comes back as a new one");
}

#[test]
fn an_evicted_replica_serves_until_another_is_ready_in_its_place() {
    let (mut bench, id, on) = serving(2);
    bench.step(Event::Cordon { worker: on.clone(), cordoned: true });
    bench.step(Event::Evict(id.clone()));
    let replacement = bench.starts().remove(0);
    assert_eq!(bench.view(&replacement).worker, Some(other(&on)));
    assert_eq!(bench.view(&id).state, ReplicaState::Ready);
    assert!(bench.stops().is_empty());
    bench.step(Event::Evict(id.clone()));
    assert!(bench.starts().is_empty(), "once is enough");
    bench.phase(&replacement, ReplicaPhase::Ready);
    assert_eq!(bench.stops(), [id]);
}

#[test]
fn an_evicted_replica_that_nothing_can_replace_stays() {
    let (mut bench, id, on) = serving(1);
    bench.step(Event::Cordon { worker: on.clone(), cordoned: true });
    bench.step(Event::Evict(id.clone()));
    bench.pass(30, &[0]);
    assert_eq!(bench.view(&id).state, ReplicaState::Ready);
    bench.step(Event::Cordon { worker: on, cordoned: false });
    bench.work_off();
    assert_eq!(bench.ids().len(), 1);
}

#[test]
fn a_worker_that_leaves_gets_nothing_new_and_what_it_has_is_moved() {
    let (mut bench, id, on) = serving(2);
    bench.step(Event::Worker { worker: on.clone(), message: WorkerUp::Leaving });
    bench.work_off();
    assert!(!bench.ids().contains(&id));
    bench.step(Event::Deployment(deployment(4)));
    bench.work_off();
    assert!(bench.views().iter().all(|view| view.worker == Some(other(&on))));
    let number = u32::from(on == worker(1));
    bench.hello(number, Vec::new());
    bench.step(Event::Deployment(deployment(6)));
    assert!(bench.views().iter().any(|view| view.worker.as_ref() == Some(&on)), "a new session clears it");
}

#[test]
fn what_leaves_the_only_worker_is_stopped_at_once_since_there_is_nowhere_to_move_to() {
    let (mut bench, id, on) = serving(1);
    bench.step(Event::Worker { worker: on, message: WorkerUp::Leaving });
    assert_eq!(bench.stops(), [id]);
    bench.hello(1, Vec::new());
    assert_eq!(bench.starts().len(), 1, "it is wanted still, as soon as there is a worker");
}

#[test]
fn what_leaves_while_the_only_other_worker_is_silent_serves_on_as_long_as_that_may_be_back() {
    let (mut bench, id, on) = serving(2);
    let here = u32::from(on == worker(1));
    bench.pass(5, &[here]);
    bench.step(Event::Worker { worker: on.clone(), message: WorkerUp::Leaving });
    assert!(bench.stops().is_empty(), "its session goes on");
    bench.step(Event::WorkerDied(other(&on)));
    assert_eq!(bench.stops(), [id]);
}

#[test]
fn workers_that_end_together_stop_what_they_have_once_the_last_of_them_leaves() {
    let (mut bench, id, on) = serving(3);
    for leaves in [on.clone(), other(&on)] {
        bench.step(Event::Worker { worker: leaves, message: WorkerUp::Leaving });
        assert!(bench.stops().is_empty(), "there is still one");
    }
    bench.step(Event::WorkerDied(worker(2)));
    assert!(bench.stops().contains(&id), "{:?}", bench.stops());
    bench.work_off();
    assert!(bench.views().iter().all(|view| view.worker.is_none()));
}

#[test]
fn a_replica_that_fails_while_it_leaves_is_gone() {
    let (mut bench, id, on) = serving(2);
    bench.step(Event::Worker { worker: on, message: WorkerUp::Leaving });
    bench.phase(&id, trap());
    assert_eq!(bench.stops(), std::slice::from_ref(&id), "an earlier run of it may have failed: its worker is asked");
    bench.phase(&id, ReplicaPhase::Stopped);
    assert!(!bench.ids().contains(&id));
}

#[test]
fn a_drain_in_the_middle_of_a_rollout_ends_with_what_is_wanted() {
    let mut bench = Bench::with_workers(3);
    bench.step(Event::Deployment(deployment(4)));
    bench.work_off();
    let mut next = deployment(4);
    (next.template, next.generation) = (template("b"), 2);
    bench.step(Event::Deployment(next));
    bench.step(Event::Worker { worker: worker(0), message: WorkerUp::Leaving });
    bench.work_off();
    assert_eq!((bench.live("a"), bench.live("b"), bench.ids().len()), (0, 4, 4));
    assert!(bench.views().iter().all(|view| view.worker != Some(worker(0))));
}

#[test]
fn a_new_control_plane_waits_for_no_report_of_a_worker_whose_process_has_ended() {
    let mut bench = Bench::new();
    for number in [0, 1] {
        bench.step(Event::KnownWorker { worker: worker(number), cordoned: false });
    }
    bench.step(Event::Deployment(deployment(1)));
    bench.step(Event::Loaded);
    bench.hello(0, Vec::new());
    assert!(bench.starts().is_empty(), "the other may run it");
    bench.step(Event::WorkerDied(worker(1)));
    assert_eq!(bench.starts().len(), 1);
}

#[test]
fn a_new_control_plane_decides_as_soon_as_every_worker_that_it_knows_has_reported() {
    let mut bench = Bench::new();
    for number in 0..2 {
        bench.step(Event::KnownWorker { worker: worker(number), cordoned: number == 1 });
    }
    bench.step(Event::Deployment(deployment(2)));
    bench.step(Event::Loaded);
    bench.hello(0, vec![running("a", "x")]);
    bench.pass(3, &[0]);
    assert!(!bench.scheduler.is_settled());
    bench.hello(1, vec![running("a", "y")]);
    assert!(bench.scheduler.is_settled());
    assert!(bench.starts().is_empty() && bench.stops().is_empty(), "what matches is left alone");
    bench.step(Event::Deployment(deployment(6)));
    let new: Vec<_> = bench.starts();
    assert!(new.iter().all(|id| bench.view(id).worker == Some(worker(0))), "the other is still cordoned");
}

#[test]
fn a_known_worker_that_does_not_come_back_holds_nothing_up_for_long() {
    let mut bench = Bench::new();
    bench.step(Event::KnownWorker { worker: worker(9), cordoned: false });
    bench.step(Event::Deployment(deployment(1)));
    bench.step(Event::Loaded);
    bench.hello(0, Vec::new());
    bench.pass(9, &[0]);
    assert!(!bench.scheduler.is_settled());
    bench.pass(2, &[0]);
    assert!(bench.scheduler.is_settled());
    bench.work_off();
    assert_eq!(bench.ids().len(), 1);
}

#[test]
fn a_known_worker_that_never_comes_back_is_shown_as_not_ready_and_forgotten_in_the_end() {
    let mut bench = Bench::new();
    bench.step(Event::KnownWorker { worker: worker(9), cordoned: true });
    bench.step(Event::Loaded);
    let known = bench.scheduler.workers().find(|view| view.name == worker(9)).expect("it is shown");
    assert!(!known.ready && known.cordoned);
    bench.hello(0, Vec::new());
    bench.pass(610, &[0]);
    assert!(bench.scheduler.workers().all(|view| view.name != worker(9)));
    assert!(bench.actions.contains(&Action::RemoveWorker(worker(9))));
}

#[test]
fn taints_keep_replicas_away_that_do_not_tolerate_them() {
    let mut bench = Bench::new();
    bench.step(Event::Loaded);
    let taint = |effect| Taint { key: "gpu".into(), value: "yes".into(), effect };
    bench.hello_with(0, vec![taint(TaintEffect::NoSchedule)]);
    bench.hello_with(1, vec![taint(TaintEffect::PreferNoSchedule)]);
    bench.step(Event::Deployment(deployment(2)));
    bench.work_off();
    assert!(bench.views().iter().all(|view| view.worker == Some(worker(1))));
    let mut tolerant = deployment(2);
    let mut with = (*template("b")).clone();
    with.tolerations = vec![Toleration { key: Some("gpu".into()), value: None, effect: None }];
    (tolerant.template, tolerant.generation) = (with.into(), 2);
    bench.step(Event::Deployment(tolerant));
    bench.work_off();
    assert!(bench.views().iter().any(|view| view.worker == Some(worker(0))));
    bench.hello_with(1, vec![taint(TaintEffect::NoExecute)]);
    bench.work_off();
    assert_eq!(bench.live("b"), 2, "they tolerate that too");
}

/// Whether gateways reach a worker.
fn reach(worker: &WorkerName, reached: bool) -> Event {
    Event::Reach { worker: worker.clone(), unavailable: (!reached).then(|| "no address".into()) }
}

#[test]
fn a_worker_that_gateways_do_not_reach_takes_nothing_and_is_moved_to_by_nobody_until_they_do() {
    let (mut bench, id, on) = serving(2);
    bench.step(reach(&other(&on), false));
    bench.step(Event::Cordon { worker: on.clone(), cordoned: true });
    bench.step(Event::Evict(id.clone()));
    bench.work_off();
    assert_eq!(bench.view(&id).state, ReplicaState::Ready, "it serves on where it is reached");
    let replacement = bench.views().into_iter().find(|view| view.id != id).expect("another is to take its place");
    let ReplicaState::Unplaced(why) = &replacement.state else { panic!("{:?}", replacement.state) };
    assert!(why.contains("untolerated taint {node.kubernetes.io/network-unavailable}"), "{why}");
    bench.step(reach(&other(&on), true));
    bench.work_off();
    assert_eq!(bench.view(&replacement.id).worker, Some(other(&on)));
}

#[test]
fn what_a_worker_ran_is_started_elsewhere_if_gateways_do_not_reach_it_any_more_as_it_comes_back() {
    let (mut bench, id, on) = serving(2);
    // Said before its hello, as soon as it has said where it is.
    bench.step(reach(&on, false));
    assert_eq!(bench.view(&id).state, ReplicaState::Ready, "what runs is left alone");
    bench.hello(u32::from(on == worker(1)), Vec::new());
    bench.work_off();
    let views = bench.views();
    assert_eq!(views.len(), 1);
    assert_eq!(views[0].worker, Some(other(&on)));
}

#[test]
fn what_tolerates_that_no_gateway_reaches_it_runs_there() {
    let mut bench = Bench::with_workers(1);
    bench.step(reach(&worker(0), false));
    let everything = Toleration { key: None, value: None, effect: None };
    let template = Template { tolerations: vec![everything], ..Arc::unwrap_or_clone(template("a")) };
    bench.step(Event::Deployment(Deployment { template: Arc::new(template), ..deployment(1) }));
    assert_eq!(bench.starts().len(), 1);
}
