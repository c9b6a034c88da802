use std::{
    thread,
    time::{Duration, Instant},
};

use super::{assert_none_failed, deploy, load, pods, wait_for_ready, with_slack, worker_process};
use crate::sampan::{Sampan, signal, wait_for};

/// A killed worker's replicas are back within this time.
const BACK: Duration = Duration::from_millis(100);
/// A worker that is stopped is routed around within this time.
const ROUTED_AROUND: Duration = Duration::from_millis(250);
/// And its replicas are replaced within this.
const REPLACED: Duration = Duration::from_secs(1);

#[test]
fn a_worker_that_is_killed_costs_no_request_and_its_replicas_are_back_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server(folder.path(), 4);
    deploy(&sampan, 8);
    let load = load(&sampan);
    for _ in 0..3 {
        let nodes = wait_for_ready(&sampan, 8);
        let killed = worker_process(&sampan, &nodes[0]);
        let began = Instant::now();
        signal("KILL", killed);
        wait_for("the process is gone", || (!runs(killed)).then_some(()));
        // What was on it is gone from the list, and as many are ready again.
        let before = Instant::now();
        wait_for_ready(&sampan, 8);
        let listing = pods_take(&sampan);
        let took = before.duration_since(began) + before.elapsed().saturating_sub(listing);
        assert!(took < with_slack(BACK), "capacity was back after {took:?}");
    }
    assert_none_failed(&load.stop());
    sampan.wait_for_nodes(4);
}

/// How long looking at the pods takes by itself: a process that is started, and asks.
fn pods_take(sampan: &Sampan) -> Duration {
    let began = Instant::now();
    pods(sampan);
    began.elapsed()
}

fn runs(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

#[test]
fn a_worker_that_stands_still_is_routed_around_and_its_late_copies_end_when_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server(folder.path(), 4);
    deploy(&sampan, 8);
    let load = load(&sampan);
    let nodes = wait_for_ready(&sampan, 8);
    let (still, process) = (nodes[0].clone(), worker_process(&sampan, &nodes[0]));
    let before = pods(&sampan);
    let stopped_at = Instant::now();
    signal("STOP", process);
    wait_for("its replicas are replaced elsewhere", || {
        let now = pods(&sampan);
        (now.len() == 8 && now.iter().all(|pod| pod.ready && pod.node != still)).then_some(())
    });
    let replaced = stopped_at.elapsed();
    assert!(replaced < with_slack(REPLACED), "replaced after {replaced:?}");
    let gone_on_at = Instant::now();
    signal("CONT", process);
    sampan.wait_for_nodes(4);
    // Whoever was replaced is not owned again: its name is gone for good.
    let replaced: Vec<_> = before.into_iter().filter(|pod| pod.node == still).map(|pod| pod.name).collect();
    for _ in 0..20 {
        assert!(pods(&sampan).iter().all(|pod| !replaced.contains(&pod.name)), "a replica is owned twice");
        thread::sleep(Duration::from_millis(50));
    }
    wait_for_ready(&sampan, 8);
    let outcome = load.stop();
    assert_none_failed(&outcome);
    let slowest = outcome.slowest(stopped_at, gone_on_at);
    assert!(slowest < with_slack(ROUTED_AROUND), "a request took {slowest:?} while the worker stood still");
}
