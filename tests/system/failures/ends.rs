//! Processes that end as they are told to, and others that come after them in the same data directory.

use std::path::Path;

use super::{Cluster, HOST, wait_for_ready};
use crate::{
    client::Client,
    printed::assert_clean,
    sampan::{Role, Sampan, signal, wait_for},
};

/// With so many replicas of the test guest, which have served.
fn serving(sampan: &Sampan, replicas: usize) {
    super::deploy(sampan, replicas);
    assert_eq!(Client::new(&sampan.http, Some(HOST)).get("/env").status, 200);
}

fn nodes(sampan: &Sampan) -> Vec<String> {
    let listed = sampan.cli_ok(&["get", "nodes"]);
    let ready = |line: &str| {
        let mut words = line.split_whitespace();
        format!("{} {}", words.next().unwrap_or_default(), words.next().unwrap_or_default())
    };
    listed.lines().skip(1).map(ready).collect()
}

#[test]
fn one_process_that_is_told_to_end_warns_of_nothing() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().expect("a folder");
        let sampan = Sampan::up(folder.path());
        serving(&sampan, 2);
        assert_clean(signal, &sampan.end(signal));
    }
}

#[test]
fn an_image_that_a_registry_is_asked_for_is_given_up_at_the_end_without_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    // It takes connections, and never answers.
    let registry = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = registry.local_addr().expect("a bound socket");
    let manifest = std::fs::read_to_string(crate::sampan::root().join("samples/hello/deploy/hello.yaml"));
    let manifest = manifest.expect("a manifest").replace("hello:dev", &format!("{address}/shop/hello:v1"));
    let file = folder.path().join("hello.yaml");
    std::fs::write(&file, manifest).expect("a write");
    sampan.cli_ok(&["apply", "-f", file.to_str().expect("UTF-8")]);
    let _asked = registry.accept().expect("it is asked");
    assert_clean("TERM", &sampan.end("TERM"));
}

#[test]
fn a_server_and_its_workers_that_are_told_to_end_warn_of_nothing() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().expect("a folder");
        let sampan = Sampan::server(folder.path(), 2);
        serving(&sampan, 4);
        assert_clean(signal, &sampan.end(signal));
    }
}

/// Tells the first worker to end: neither it nor anybody else warns.
fn assert_first_worker_ends_cleanly(cluster: &mut Cluster) {
    assert_clean("the worker", &cluster.workers.remove(0).end("TERM"));
    assert_clean("the gateway", &cluster.gateway.output());
    assert_clean("the server", &cluster.server.as_ref().expect("it runs").output());
}

#[test]
fn a_worker_that_joined_and_is_told_to_end_warns_of_nothing_nor_does_anybody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = Cluster::start(folder.path(), 2, &[]);
    super::control_plane::deploy(&cluster, 4);
    assert_eq!(Client::new(&cluster.http, Some(HOST)).get("/env").status, 200);
    assert_first_worker_ends_cleanly(&mut cluster);
}

#[test]
fn a_signal_that_comes_twice_at_once_as_wrappers_pass_it_on_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server(folder.path(), 2);
    serving(&sampan, 2);
    // It is not told to another process before it has ended.
    signal("STOP", sampan.id());
    signal("TERM", sampan.id());
    signal("INT", sampan.id());
    signal("CONT", sampan.id());
    assert_clean("the server", &sampan.over());
}

#[test]
fn the_only_worker_ends_at_once_since_there_is_nowhere_to_move_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = Cluster::start_with(folder.path(), &[&["--drain-timeout", "1h"]], &[]);
    super::control_plane::deploy(&cluster, 2);
    assert_first_worker_ends_cleanly(&mut cluster);
}

#[test]
fn processes_of_several_machines_that_are_all_told_to_end_warn_of_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let Cluster { server, workers, gateway, .. } = {
        let patient: &[&str] = &["--drain-timeout", "1h"];
        let cluster = Cluster::start_with(folder.path(), &[patient, patient], &[]);
        super::control_plane::deploy(&cluster, 4);
        cluster
    };
    let all: Vec<Role> = server.into_iter().chain(workers).chain([gateway]).collect();
    all.iter().for_each(|role| signal("TERM", role.id()));
    for role in all {
        assert_clean("a process", &role.over());
    }
}

/// Ends one after the other over one data directory, and looks at who is left, and that each first request is answered.
fn after_each_other(folder: &Path, ends: fn(Sampan)) {
    let sampan = Sampan::up(folder);
    serving(&sampan, 2);
    ends(sampan);
    for workers in [4, 2, 0, 1] {
        let sampan = if workers == 0 { Sampan::up(folder) } else { Sampan::server(folder, workers) };
        let client = Client::new(&sampan.http, Some(HOST));
        for _ in 0..20 {
            assert_eq!(client.get("/env").status, 200, "with {workers} workers of its own");
        }
        wait_for_ready(&sampan, 2);
        let nodes = wait_for("all nodes are ready", || {
            let nodes = nodes(&sampan);
            nodes.iter().all(|node| node.ends_with(" Ready")).then_some(nodes)
        });
        assert_eq!(nodes.len(), workers.max(1), "with {workers} workers of its own: {nodes:?}");
        ends(sampan);
    }
}

#[test]
fn one_process_and_several_after_each_other_in_one_data_directory_leave_no_node_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    after_each_other(folder.path(), |sampan| drop(sampan.end("TERM")));
}

#[test]
fn nor_do_they_where_each_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    after_each_other(folder.path(), Sampan::kill);
}
