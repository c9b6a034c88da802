use std::{thread, time::Duration};

use super::{HOST, assert_none_failed, deploy, load, pods, wait_for_ready, worker_process};
use crate::{
    client::Client,
    sampan::{Sampan, signal, wait_for},
};

#[test]
fn a_worker_that_is_killed_costs_no_request_and_its_replicas_are_replaced_because_its_process_has_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nobody is replaced for being silent.
    let sampan = Sampan::server_with(folder.path(), 4, &["--lost-after", "1h"]);
    deploy(&sampan, 8);
    let load = load(&sampan);
    for _ in 0..3 {
        let nodes = wait_for_ready(&sampan, 8);
        let killed = worker_process(&sampan, &nodes[0]);
        let on_it: Vec<_> = pods(&sampan).into_iter().filter(|pod| pod.node == nodes[0]).map(|pod| pod.name).collect();
        signal("KILL", killed);
        wait_for("the process is gone", || (!runs(killed)).then_some(()));
        wait_for("what was on it is replaced", || {
            let now = pods(&sampan);
            (now.len() == 8 && now.iter().all(|pod| pod.ready && !on_it.contains(&pod.name))).then_some(())
        });
    }
    assert_none_failed(&load.stop());
    sampan.wait_for_nodes(4);
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
    signal("STOP", process);
    // Each is answered, though it stands still: who waited for it would wait here for ever.
    let client = Client::new(&sampan.http, Some(HOST));
    (0..50).for_each(|_| assert_eq!(client.get("/env").status, 200));
    wait_for("its replicas are replaced elsewhere", || {
        let now = pods(&sampan);
        (now.len() == 8 && now.iter().all(|pod| pod.ready && pod.node != still)).then_some(())
    });
    signal("CONT", process);
    sampan.wait_for_nodes(4);
    // Whoever was replaced is not owned again: its name is gone for good.
    let replaced: Vec<_> = before.into_iter().filter(|pod| pod.node == still).map(|pod| pod.name).collect();
    for _ in 0..20 {
        assert!(pods(&sampan).iter().all(|pod| !replaced.contains(&pod.name)), "a replica is owned twice");
        thread::sleep(Duration::from_millis(50));
    }
    wait_for_ready(&sampan, 8);
    assert_none_failed(&load.stop());
}
