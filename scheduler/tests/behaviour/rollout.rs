use std::time::Duration;

use api::replica::ReplicaPhase;
use scheduler::{Action, Deployment, Event, ReplicaState, Strategy};

use crate::bench::{Bench, app, deployment, digest, template};

fn rolled_out(replicas: u32) -> Bench {
    let mut bench = Bench::with_workers(3);
    bench.step(Event::Deployment(deployment(replicas)));
    bench.work_off();
    bench
}

#[test]
fn a_deployment_becomes_a_revision_and_replicas_that_are_started_with_the_pinned_image() {
    let mut bench = Bench::with_workers(3);
    bench.step(Event::Deployment(deployment(3)));
    assert_eq!(bench.starts().len(), 3);
    assert!(
        bench
            .actions
            .iter()
            .all(|action| !matches!(action, Action::Start { digest: pinned, .. } if *pinned != digest()))
    );
    let revision = bench.scheduler.revisions().next().unwrap();
    assert_eq!((&*revision.key.name, revision.number, revision.replicas), ("app-a", 1, 3));
    assert_eq!(revision.digest, Some(digest()));
    bench.work_off();
    assert_eq!(bench.status().available, 3);
    assert_eq!(bench.reason("Progressing"), Some("NewReplicaSetAvailable"));
}

#[test]
fn a_new_template_replaces_replicas_one_by_one_and_never_below_what_is_wanted() {
    let mut bench = rolled_out(3);
    bench.step(Event::Deployment(Deployment { template: template("b"), generation: 2, ..deployment(3) }));
    assert_eq!(bench.messages("ScalingReplicaSet"), ["Scaled up replica set app-b from 0 to 1"]);
    assert_eq!((bench.live("a"), bench.live("b")), (3, 1));
    let new = bench.starts().remove(0);
    bench.phase(&new, ReplicaPhase::Ready);
    assert_eq!((bench.live("a"), bench.live("b")), (2, 2));
    bench.work_off();
    assert_eq!((bench.live("a"), bench.live("b")), (0, 3));
    assert_eq!(bench.status().revision, 2);
}

#[test]
fn a_replica_leaves_the_endpoints_before_it_is_told_to_stop() {
    let mut bench = rolled_out(2);
    bench.step(Event::Deployment(deployment(1)));
    let stopped = bench.stops().remove(0);
    let published = bench.actions.iter().position(|action| {
        matches!(action, Action::PublishReplica(view) if view.id == stopped && view.state == ReplicaState::Stopping)
    });
    let told = bench.actions.iter().position(|action| matches!(action, Action::Stop { .. }));
    assert!(published.unwrap() < told.unwrap());
}

#[test]
fn an_undo_brings_the_old_revision_back_as_the_newest() {
    let mut bench = rolled_out(2);
    bench.step(Event::Deployment(Deployment { template: template("b"), generation: 2, ..deployment(2) }));
    bench.work_off();
    bench.step(Event::Deployment(Deployment { generation: 3, ..deployment(2) }));
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::ResolveImage { .. })), "it is still pinned");
    bench.work_off();
    assert_eq!((bench.live("a"), bench.status().revision), (2, 3));
    assert_eq!(bench.scheduler.revisions().count(), 2);
}

#[test]
fn recreate_starts_nothing_before_everything_old_has_ended() {
    let mut bench = Bench::with_workers(3);
    let recreate = Deployment { strategy: Strategy::Recreate, ..deployment(2) };
    bench.step(Event::Deployment(recreate.clone()));
    bench.work_off();
    bench.step(Event::Deployment(Deployment { template: template("b"), generation: 2, ..recreate }));
    let stopped = bench.stops();
    assert_eq!((stopped.len(), bench.starts().len()), (2, 0));
    bench.phase(&stopped[0], ReplicaPhase::Stopped);
    assert_eq!(bench.starts().len(), 0);
    bench.phase(&stopped[1], ReplicaPhase::Stopped);
    assert_eq!(bench.starts().len(), 2);
}

#[test]
fn a_paused_deployment_is_scaled_but_not_rolled_out() {
    let mut bench = rolled_out(2);
    let paused = Deployment { template: template("b"), generation: 2, paused: true, ..deployment(2) };
    bench.step(Event::Deployment(paused.clone()));
    assert_eq!((bench.live("a"), bench.live("b")), (2, 0));
    bench.step(Event::Deployment(Deployment { replicas: 4, generation: 3, ..paused.clone() }));
    bench.work_off();
    assert_eq!((bench.live("a"), bench.live("b")), (4, 0));
    bench.step(Event::Deployment(Deployment { replicas: 4, generation: 4, paused: false, ..paused }));
    bench.work_off();
    assert_eq!((bench.live("a"), bench.live("b")), (0, 4));
}

#[test]
fn an_image_that_is_not_found_is_said_and_tried_again_while_the_old_revision_serves() {
    let mut bench = rolled_out(2);
    bench.image = Err("shop/app:1 is not in the local store".to_owned());
    bench.step(Event::Deployment(Deployment { template: template("b"), generation: 2, ..deployment(2) }));
    assert_eq!((bench.live("a"), bench.status().available), (2, 2));
    assert_eq!(bench.reason("ReplicaFailure"), Some("ErrImagePull"));
    let waiting = bench.views().into_iter().find(|view| view.template.hash == "b").unwrap();
    assert_eq!(waiting.state, ReplicaState::Unplaced("shop/app:1 is not in the local store".to_owned()));
    bench.image = Ok(digest());
    bench.pass(2, &[0, 1, 2]);
    bench.work_off();
    assert_eq!((bench.live("a"), bench.live("b")), (0, 2));
    assert_eq!(bench.reason("ReplicaFailure"), None);
}

#[test]
fn a_rollout_without_progress_is_reported_after_its_deadline() {
    let mut bench = rolled_out(2);
    let stuck = Deployment {
        template: template("b"),
        generation: 2,
        progress_deadline: Duration::from_secs(5),
        ..deployment(2)
    };
    bench.step(Event::Deployment(stuck));
    bench.pass(4, &[0, 1, 2]);
    assert_eq!(bench.reason("Progressing"), Some("ReplicaSetUpdated"));
    bench.pass(2, &[0, 1, 2]);
    assert_eq!(bench.reason("Progressing"), Some("ProgressDeadlineExceeded"));
    bench.work_off();
    assert_eq!(bench.reason("Progressing"), Some("NewReplicaSetAvailable"));
}

#[test]
fn a_replica_counts_as_available_only_after_min_ready() {
    let mut bench = Bench::with_workers(1);
    bench.step(Event::Deployment(Deployment { min_ready: Duration::from_secs(3), ..deployment(1) }));
    bench.work_off();
    assert_eq!((bench.status().ready, bench.status().available), (1, 0));
    bench.pass(3, &[0]);
    assert_eq!(bench.status().available, 1);
}

#[test]
fn old_revisions_beyond_the_history_limit_are_deleted() {
    let mut bench = Bench::with_workers(1);
    for (generation, hash) in (1..).zip(["a", "b", "c", "d"]) {
        let changed = Deployment { template: template(hash), generation, revision_history_limit: 1, ..deployment(1) };
        bench.step(Event::Deployment(changed));
        bench.work_off();
    }
    let kept: Vec<_> = bench.scheduler.revisions().map(|revision| &*revision.key.name).collect();
    assert_eq!(kept, ["app-c", "app-d"]);
}

#[test]
fn a_deleted_deployment_takes_its_revisions_and_replicas_with_it() {
    let mut bench = rolled_out(2);
    bench.step(Event::DeploymentDeleted(app()));
    assert_eq!(bench.stops().len(), 2);
    bench.work_off();
    assert_eq!((bench.ids().len(), bench.scheduler.revisions().count()), (0, 0));
}

#[test]
fn a_revision_that_is_deleted_without_its_replicas_is_made_again_and_keeps_them() {
    let mut bench = rolled_out(2);
    let (before, made) = (bench.ids(), bench.scheduler.revisions().next().unwrap().created);
    let key = bench.scheduler.revisions().next().unwrap().key.clone();
    bench.step(Event::RevisionReleased(key));
    bench.work_off();
    assert_eq!(bench.ids(), before, "nothing is started or stopped");
    assert_eq!(bench.stops().len(), 0);
    let again = bench.scheduler.revisions().next().unwrap();
    assert_eq!(again.deployment, Some(app()));
    assert!(again.created > made, "it is another one");
}

#[test]
fn an_orphaned_deployment_leaves_its_replicas_and_the_next_one_of_its_name_takes_them_over() {
    let mut bench = rolled_out(2);
    let before = bench.ids();
    bench.step(Event::DeploymentOrphaned(app()));
    bench.work_off();
    assert_eq!(bench.ids(), before);
    assert_eq!(bench.scheduler.revisions().next().unwrap().deployment, None);
    bench.step(Event::Deployment(deployment(2)));
    bench.work_off();
    assert_eq!(bench.ids(), before, "nothing is started or stopped");
    assert_eq!(bench.scheduler.revisions().next().unwrap().deployment, Some(app()));
    bench.step(Event::Deployment(deployment(3)));
    bench.work_off();
    assert_eq!(bench.live("a"), 3);
}
