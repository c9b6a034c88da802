//! Workers that are full, and who gets their room.

use std::{sync::Arc, time::Duration};

use api::{
    ObjectKey, ReplicaId,
    replica::ReplicaPhase,
    session::{Capacity, WorkerUp},
};
use scheduler::{
    Action, Deployment, Event, GatewayId, Priority, ReplicaState, ReplicaView, Resources, Subject, Template,
    autoscale::{Autoscaler, PolicyKind},
};

use crate::bench::{Bench, deployment, template, trap, worker};

/// What a replica asks for here, unless a test says otherwise; a worker has four of it.
const UNIT: u64 = 1000;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("default", name)
}

/// A Deployment of its own template; each replica takes so many units of a worker.
fn app(name: &str, priority: i32, replicas: u32, units: u64) -> Deployment {
    let template = Template {
        hash: name.to_owned(),
        requests: Resources { cpu_millis: UNIT * units, memory_bytes: 1 << 20 },
        priority: Priority { class: Some(name.to_owned()), value: priority, preempts: true },
        ..Arc::unwrap_or_clone(template(name))
    };
    Deployment { key: key(name), template: Arc::new(template), ..deployment(replicas) }
}

fn never(mut of: Deployment) -> Deployment {
    let mut template = Arc::unwrap_or_clone(of.template);
    template.priority.preempts = false;
    of.template = Arc::new(template);
    of
}

impl Bench {
    fn apply(&mut self, deployment: Deployment) {
        self.step(Event::Deployment(deployment));
    }

    /// Applied, and everything that moves has come to rest.
    fn running(&mut self, deployment: Deployment) {
        self.apply(deployment);
        self.work_off();
    }

    fn of(&self, name: &str) -> Vec<ReplicaView> {
        self.views().into_iter().filter(|view| view.template.hash == name).collect()
    }

    fn ready(&self, name: &str) -> usize {
        self.of(name).iter().filter(|view| view.state == ReplicaState::Ready).count()
    }

    fn waiting(&self, name: &str) -> Vec<ReplicaView> {
        let unplaced = |view: &ReplicaView| matches!(view.state, ReplicaState::Unplaced(_));
        self.of(name).into_iter().filter(unplaced).collect()
    }

    /// Names of the Deployments whose replicas are being stopped.
    fn stopping(&self) -> Vec<String> {
        let stopping = self.views().into_iter().filter(|view| view.state == ReplicaState::Stopping);
        stopping.map(|view| view.template.hash.clone()).collect()
    }

    fn position(&self, which: impl Fn(&Action) -> bool) -> usize {
        self.actions.iter().position(which).expect("it is among the actions")
    }
}

/// One worker that four replicas of low priority fill.
fn full() -> Bench {
    let mut bench = Bench::with_workers(1);
    bench.running(app("low", 1, 4, 1));
    assert_eq!(bench.ready("low"), 4);
    bench
}

#[test]
fn a_higher_priority_takes_the_room_of_the_lower_once_that_has_drained() {
    let mut bench = full();
    bench.apply(app("high", 10, 1, 1));
    let victim = bench.stops().remove(0);
    assert_eq!(bench.stopping(), ["low"]);
    assert!(bench.starts().is_empty(), "the victim still has its grace");
    assert_eq!(bench.waiting("high")[0].nominated, Some(worker(0)));
    bench.phase(&victim, ReplicaPhase::Stopped);
    assert_eq!(bench.starts(), [bench.of("high")[0].id.clone()]);
    assert_eq!(bench.of("high")[0].nominated, None);
    bench.work_off();
    assert_eq!((bench.ready("high"), bench.ready("low"), bench.waiting("low").len()), (1, 3, 1));
}

#[test]
fn a_victim_leaves_the_endpoints_before_it_is_told_to_stop() {
    let mut bench = full();
    bench.apply(app("high", 10, 1, 1));
    let victim = bench.stops().remove(0);
    let told = bench.position(|action| match action {
        Action::PublishReplica(view) => view.id == victim && view.state == ReplicaState::Stopping,
        _ => false,
    });
    let stopped = bench.position(|action| matches!(action, Action::Stop { id, .. } if *id == victim));
    assert!(told < stopped);
    assert!(bench.actions.iter().any(
        |action| matches!(action, Action::Stop { id, grace, .. } if *id == victim && *grace == Duration::from_secs(30))
    ));
}

#[test]
fn events_say_who_made_room_for_whom() {
    let mut bench = full();
    bench.apply(app("high", 10, 1, 1));
    let (victim, by) = (bench.stops().remove(0), bench.of("high")[0].id.clone());
    let said = |about: &Subject, wanted: &str| {
        bench.actions.iter().find_map(|action| match action {
            Action::Emit { about: of, reason, message, .. } if of == about && *reason == wanted => {
                Some(message.clone())
            }
            _ => None,
        })
    };
    let preempted = format!("Preempted by {by} on worker worker-0");
    assert_eq!(said(&Subject::Replica(victim.clone()), "Preempted"), Some(preempted.clone()));
    let of_deployment = said(&Subject::Deployment(key("low")), "Preempted");
    assert_eq!(of_deployment, Some(format!("Pod {}: {preempted}", victim.0.name)));
    let preempting = said(&Subject::Replica(by), "Preempting");
    assert_eq!(preempting, Some(format!("Preempting {victim} on worker worker-0")));
}

#[test]
fn the_lowest_goes_first() {
    let mut bench = Bench::with_workers(1);
    bench.running(app("middle", 5, 2, 1));
    bench.running(app("low", 1, 1, 1));
    bench.running(app("upper", 7, 1, 1));
    bench.apply(app("high", 10, 2, 1));
    assert_eq!(bench.stopping(), ["low", "middle"]);
}

#[test]
fn of_equals_what_serves_nothing_goes_first_and_then_the_youngest() {
    let mut bench = Bench::with_workers(1);
    bench.running(app("low", 1, 3, 1));
    bench.pass(1, &[0]);
    bench.running(app("low", 1, 4, 1));
    let youngest = bench.views().into_iter().max_by_key(|view| view.created).unwrap().id;
    let failing = bench.views().into_iter().find(|view| view.id != youngest).unwrap().id;
    bench.phase(&failing, trap());
    bench.apply(app("high", 10, 2, 1));
    let stops = bench.stops();
    assert!(stops.len() == 2 && stops.contains(&failing) && stops.contains(&youngest));
}

#[test]
fn no_more_go_than_must() {
    let mut bench = full();
    bench.apply(app("high", 10, 1, 3));
    assert_eq!(bench.stops().len(), 3);
    let mut bench = Bench::with_workers(1);
    bench.running(app("small", 1, 2, 1));
    bench.running(app("large", 1, 1, 2));
    bench.apply(app("high", 10, 1, 1));
    assert_eq!(bench.stops().len(), 1);
}

#[test]
fn the_worker_is_chosen_where_the_fewest_of_the_lowest_go() {
    let mut bench = Bench::with_workers(1);
    bench.running(app("low", 1, 4, 1));
    bench.hello(1, Vec::new());
    bench.running(app("lower", 0, 1, 4));
    bench.hello(2, Vec::new());
    bench.running(app("middle", 5, 1, 4));
    bench.apply(app("high", 10, 1, 2));
    assert_eq!(bench.stopping(), ["lower"], "two of a higher priority matter more than one");
    bench.work_off();
    bench.apply(app("higher", 20, 1, 3));
    assert_eq!(bench.stopping(), ["low", "low", "low"]);
}

#[test]
fn an_equal_priority_never_preempts() {
    let mut bench = full();
    bench.apply(app("equal", 1, 1, 1));
    assert!(bench.stops().is_empty());
    assert_eq!(bench.waiting("equal")[0].nominated, None);
    let said = bench.messages("FailedScheduling");
    assert_eq!(said, ["0/1 nodes are available: 1 Insufficient cpu. preemption: no pod has a lower priority."]);
}

#[test]
fn a_policy_of_never_never_preempts_but_comes_first() {
    let mut bench = full();
    bench.apply(app("other", 2, 1, 1));
    let victim = bench.stops().remove(0);
    bench.phase(&victim, ReplicaPhase::Stopped);
    bench.work_off();
    bench.apply(never(app("patient", 10, 1, 1)));
    assert!(bench.stops().is_empty());
    let said = bench.messages("FailedScheduling");
    assert!(said[0].ends_with("preemption: not eligible due to preemptionPolicy=Never."), "{said:?}");
    bench.apply(app("low", 1, 2, 1));
    bench.work_off();
    assert_eq!((bench.ready("patient"), bench.ready("low"), bench.ready("other")), (1, 2, 1));
}

#[test]
fn what_preemption_cannot_help_is_said() {
    let mut bench = full();
    bench.apply(app("huge", 10, 1, 5));
    assert!(bench.stops().is_empty());
    let said = bench.messages("FailedScheduling");
    let expected = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
    assert!(said[0].ends_with(expected), "{said:?}");
    bench.step(Event::Cordon { worker: worker(0), cordoned: true });
    bench.apply(app("high", 10, 1, 1));
    let said = bench.messages("FailedScheduling");
    assert!(said.iter().any(|said| said.ends_with("1 Preemption is not helpful for scheduling.")), "{said:?}");
}

#[test]
fn room_that_is_kept_is_not_given_to_those_who_matter_less() {
    let mut bench = full();
    bench.apply(app("high", 10, 1, 2));
    let victims = bench.stops();
    bench.phase(&victims[0], ReplicaPhase::Stopped);
    assert!(bench.starts().is_empty(), "what it left is not enough, and not for its successor");
    bench.apply(app("middle", 5, 1, 1));
    assert_eq!(bench.stops().len(), 1, "it makes room of its own");
    bench.phase(&victims[1], ReplicaPhase::Stopped);
    assert_eq!(bench.starts(), [bench.of("high")[0].id.clone()]);
}

#[test]
fn room_that_comes_anyway_is_waited_for() {
    let mut bench = full();
    bench.apply(app("low", 1, 3, 1));
    bench.apply(app("high", 10, 1, 1));
    assert_eq!(bench.stopping(), ["low"], "nobody else is stopped");
    bench.work_off();
    assert_eq!((bench.ready("high"), bench.ready("low")), (1, 3));
}

#[test]
fn room_is_looked_for_elsewhere_when_its_worker_goes() {
    let mut bench = full();
    bench.hello(1, Vec::new());
    bench.running(app("middle", 5, 4, 1));
    bench.apply(app("high", 10, 1, 1));
    assert_eq!(bench.waiting("high")[0].nominated, Some(worker(0)));
    bench.step(Event::WorkerDied(worker(0)));
    assert_eq!(bench.waiting("high")[0].nominated, Some(worker(1)));
    assert_eq!(bench.stopping(), ["middle"]);
}

#[test]
fn what_is_deleted_while_it_waits_gives_its_room_back() {
    let mut bench = full();
    bench.apply(app("high", 10, 1, 1));
    bench.step(Event::DeploymentDeleted(key("high")));
    bench.work_off();
    assert_eq!(bench.ready("low"), 4);
}

#[test]
fn victims_are_replaced_elsewhere_in_the_same_step_where_there_is_room() {
    let mut bench = Bench::with_workers(1);
    bench.running(app("low", 1, 2, 1));
    bench.running(app("middle", 5, 2, 1));
    bench.step(Event::Cordon { worker: worker(0), cordoned: true });
    bench.hello_sized(1, Capacity { cpu_millis: UNIT, memory_bytes: 4 << 30, replicas: 100 });
    bench.step(Event::Cordon { worker: worker(0), cordoned: false });
    bench.apply(app("high", 10, 1, 2));
    assert_eq!(bench.stopping(), ["low", "low"]);
    assert_eq!(bench.starts().len(), 1, "one of the two fits on the other worker");
    assert_eq!(bench.waiting("low").len(), 1);
}

#[test]
fn victims_come_back_when_there_is_room_again() {
    let mut bench = full();
    bench.running(app("high", 10, 3, 1));
    assert_eq!((bench.ready("high"), bench.ready("low")), (3, 1));
    bench.step(Event::DeploymentDeleted(key("high")));
    bench.work_off();
    assert_eq!(bench.ready("low"), 4);
    bench.running(app("high", 10, 3, 1));
    bench.hello(1, Vec::new());
    bench.work_off();
    assert_eq!((bench.ready("high"), bench.ready("low")), (3, 4));
}

#[test]
fn a_new_version_that_matters_more_does_not_stop_its_own_old_one() {
    let mut bench = full();
    let mut next = app("low", 10, 4, 1);
    let template = Template { hash: "next".to_owned(), ..Arc::unwrap_or_clone(next.template) };
    (next.template, next.generation) = (Arc::new(template), 2);
    bench.apply(next);
    assert!(bench.stops().is_empty());
    assert_eq!(bench.ready("low"), 4);
}

#[test]
fn a_revision_keeps_the_priority_that_it_was_made_with() {
    let mut bench = full();
    let mut raised = app("low", 100, 4, 1);
    raised.generation = 2;
    bench.apply(raised);
    bench.apply(app("high", 10, 1, 1));
    assert_eq!(bench.stopping(), ["low"]);
}

#[test]
fn a_service_at_zero_that_is_woken_takes_the_room_of_what_matters_less() {
    let mut bench = full();
    let scaled = Autoscaler {
        deployment: key("shop"),
        object: None,
        min: 0,
        max: 10,
        policy: PolicyKind::SqrtStaffing,
        targets: Vec::new(),
        behavior: None,
        idle_after: Some(Duration::from_secs(60)),
    };
    bench.step(Event::Autoscaler(scaled.into()));
    bench.apply(app("shop", 10, 0, 1));
    let waiting = |queued| Event::Waiting {
        gateway: GatewayId(1),
        service: key("shop"),
        deployment: key("shop"),
        queued,
        in_flight: 0,
    };
    bench.step(waiting(1));
    assert_eq!(bench.stopping().iter().filter(|name| *name == "low").count(), 1);
    bench.work_off();
    assert_eq!((bench.ready("shop"), bench.ready("low")), (1, 3));
    bench.step(waiting(250));
    bench.work_off();
    assert_eq!((bench.ready("shop"), bench.ready("low")), (3, 1), "what grows with its load does too");
}

#[test]
fn places_are_capacity_as_well() {
    let mut bench = Bench::with_workers(0);
    bench.hello_sized(0, Capacity { cpu_millis: 100 * UNIT, memory_bytes: 4 << 30, replicas: 2 });
    bench.running(app("low", 1, 2, 1));
    bench.apply(app("high", 10, 1, 1));
    assert_eq!(bench.stopping(), ["low"]);
}

#[test]
fn a_worker_that_falls_silent_stops_nobody_more() {
    let mut bench = full();
    bench.apply(app("high", 10, 1, 1));
    bench.step(Event::WorkerDisconnected(worker(0)));
    assert_eq!(bench.waiting("high")[0].nominated, None);
    assert!(bench.stops().is_empty());
    let running: Vec<ReplicaId> = bench.of("low").into_iter().map(|view| view.id).collect();
    assert!(!running.is_empty());
    bench.step(Event::Worker { worker: worker(0), message: WorkerUp::Heartbeat });
    assert!(bench.stops().is_empty());
}
