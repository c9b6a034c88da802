//! Deployments that are scaled while a rollout is paused, or while its new revision cannot start.

use scheduler::{Deployment, Event, ReplicaState, Share, Strategy};

use crate::bench::{Bench, deployment, template};

const ONE_AND_ONE: Strategy = Strategy::RollingUpdate { max_surge: Share::Count(1), max_unavailable: Share::Count(1) };
const QUARTERS: Strategy =
    Strategy::RollingUpdate { max_surge: Share::Percent(25), max_unavailable: Share::Percent(25) };

/// A Deployment whose new revision's image is not to be had.
struct Broken {
    bench: Bench,
    spec: Deployment,
}

impl Broken {
    fn with(replicas: u32, strategy: Strategy) -> Self {
        let mut bench = Bench::with_workers(3);
        let mut spec = Deployment { strategy, ..deployment(replicas) };
        bench.step(Event::Deployment(spec.clone()));
        bench.work_off();
        bench.image = Err("shop/app:9 is not found".to_owned());
        spec = Deployment { template: template("b"), ..spec };
        let mut broken = Self { bench, spec };
        broken.edit(|_| {});
        broken
    }

    fn edit(&mut self, change: impl FnOnce(&mut Deployment)) {
        change(&mut self.spec);
        self.spec.generation += 1;
        self.bench.step(Event::Deployment(self.spec.clone()));
        self.bench.work_off();
        for revision in self.bench.scheduler.revisions() {
            let live = self.bench.live(&revision.template.hash);
            assert_eq!(live, revision.replicas as usize, "{} has what it wants", revision.key);
        }
    }

    fn scale(&mut self, replicas: u32) -> (usize, usize) {
        self.edit(|spec| spec.replicas = replicas);
        self.old_and_new()
    }

    fn old_and_new(&self) -> (usize, usize) {
        (self.bench.live("a"), self.bench.live("b"))
    }

    fn serving(&self) -> usize {
        self.bench.views().iter().filter(|view| view.state == ReplicaState::Ready).count()
    }
}

#[test]
fn a_paused_rollout_that_is_scaled_keeps_its_revisions_in_proportion_and_goes_on_serving() {
    let mut broken = Broken::with(2, ONE_AND_ONE);
    assert_eq!(broken.old_and_new(), (1, 2));
    broken.edit(|spec| spec.paused = true);
    // 1 of 3 that may be 3, to 7: 2.33 and 4.67 are 2 and 5.
    assert_eq!(broken.scale(6), (2, 5));
    assert_eq!(broken.scale(1), (1, 1));
    assert_eq!(broken.scale(3), (2, 2));
    assert_eq!(broken.serving(), 2);
}

#[test]
fn a_broken_rollout_that_is_scaled_down_and_up_again_keeps_what_serves() {
    let mut broken = Broken::with(4, QUARTERS);
    assert_eq!(broken.old_and_new(), (3, 2));
    assert_eq!((broken.scale(1), broken.serving()), ((1, 1), 1));
    assert_eq!((broken.scale(4), broken.serving()), ((2, 3), 2));
}

#[test]
fn a_paused_rollout_that_is_scaled_down_has_no_replica_that_nobody_wants() {
    let mut broken = Broken::with(4, QUARTERS);
    broken.edit(|spec| spec.paused = true);
    assert_eq!((broken.scale(2), broken.serving()), ((2, 1), 2));
    assert_eq!((broken.scale(3), broken.serving()), ((3, 1), 3));
    assert_eq!(broken.scale(0), (0, 0));
}

#[test]
fn the_only_replica_that_serves_stays_when_a_much_larger_broken_revision_is_scaled_down() {
    let nine = Strategy::RollingUpdate { max_surge: Share::Count(1), max_unavailable: Share::Count(9) };
    let mut broken = Broken::with(10, nine);
    assert_eq!(broken.old_and_new(), (1, 10));
    broken.edit(|spec| spec.paused = true);
    assert_eq!((broken.scale(1), broken.serving()), ((1, 1), 1));
}

#[test]
fn what_does_not_serve_of_a_revision_goes_first_when_a_paused_deployment_is_scaled_down() {
    let mut broken = Broken::with(3, QUARTERS);
    broken.edit(|spec| spec.paused = true);
    let waits = |broken: &Broken| {
        let mut of_old = broken.bench.views();
        of_old.retain(|view| view.template.hash == "a");
        of_old.retain(|view| !matches!(view.state, ReplicaState::Ready | ReplicaState::Stopping));
        of_old.len()
    };
    broken.spec.replicas = 9;
    broken.bench.step(Event::Deployment(Deployment { generation: 9, ..broken.spec.clone() }));
    assert!(waits(&broken) > 0, "the new ones of the old revision are not ready yet");
    broken.spec.replicas = 3;
    broken.bench.step(Event::Deployment(Deployment { generation: 10, ..broken.spec.clone() }));
    assert_eq!((waits(&broken), broken.serving()), (0, 3));
}

#[test]
fn a_paused_deployment_that_comes_from_zero_runs_what_was_rolled_out_last() {
    let mut bench = Bench::with_workers(3);
    bench.step(Event::Deployment(deployment(0)));
    bench.step(Event::Deployment(Deployment { generation: 2, paused: true, ..deployment(0) }));
    let next = Deployment { template: template("b"), generation: 3, paused: true, ..deployment(0) };
    bench.step(Event::Deployment(next.clone()));
    bench.step(Event::Deployment(Deployment { generation: 4, replicas: 2, ..next.clone() }));
    assert_eq!((bench.live("a"), bench.live("b")), (2, 0));
    bench.work_off();
    bench.step(Event::Deployment(Deployment { generation: 5, replicas: 2, paused: false, ..next }));
    bench.work_off();
    assert_eq!((bench.live("a"), bench.live("b")), (0, 2));
}

#[test]
fn a_deployment_that_is_made_paused_starts_nothing() {
    let mut bench = Bench::with_workers(3);
    bench.step(Event::Deployment(Deployment { paused: true, ..deployment(2) }));
    assert_eq!(bench.ids().len(), 0);
    bench.step(Event::Deployment(Deployment { generation: 2, ..deployment(2) }));
    bench.work_off();
    assert_eq!(bench.live("a"), 2);
}
