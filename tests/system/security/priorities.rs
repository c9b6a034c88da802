//! Who goes first where processors are short: what serves requests, before all else that somebody can ask for.

use std::{collections::BTreeMap, fs};

use crate::{
    kubectl::deploy_probe,
    sampan::{Sampan, wait_for},
};

/// The niceness of a process' threads by their names; where several have one name, all have one niceness.
fn niceness(process: u32) -> BTreeMap<String, i32> {
    let mut found = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{process}/task")).expect("it runs").flatten() {
        // It may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(thread.path().join("stat")) else { continue };
        let (before, after) = stat.rsplit_once(')').expect("its name is in brackets");
        let (_, name) = before.split_once('(').expect("its name is in brackets");
        let niceness = after.split_whitespace().nth(16).and_then(|field| field.parse().ok()).expect("a niceness");
        let kind = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
        if let Some(other) = found.insert(kind.to_owned(), niceness) {
            assert_eq!(other, niceness, "of two threads named {name}");
        }
    }
    found
}

/// The niceness of the threads named so, once there are any.
fn of(process: u32, name: &str) -> i32 {
    wait_for(&format!("threads named {name} in process {process}"), || niceness(process).get(name).copied())
}

#[test]
fn threads_that_serve_have_the_priority_that_the_process_was_given_and_those_for_costly_requests_the_least() {
    let folder = tempfile::tempdir().expect("a directory");
    let sampan = Sampan::up(folder.path());
    let process = sampan.id();
    let first = of(process, "sampan");
    assert_eq!(of(process, "gateway-"), first);
    assert_eq!(of(process, "sampan-epoch"), first);
    let background = of(process, "background");
    assert!(background > first, "{background}");
    // One patch is enough to have them work, though they are there before.
    deploy_probe(&sampan);
    sampan.kubectl_ok(&["patch", "deployment", "probe", "-p", r#"{"metadata": {"labels": {"a": "b"}}}"#]);
    assert!(of(process, "api-costly") > background);
}

#[test]
fn a_workers_process_serves_at_the_priority_of_the_server_and_answers_heartbeats_so() {
    let folder = tempfile::tempdir().expect("a directory");
    let sampan = Sampan::server(folder.path(), 1);
    let first = of(sampan.id(), "sampan");
    assert_eq!(of(sampan.id(), "gateway-"), first);
    let name = sampan.cli_ok(&["get", "nodes"]);
    let name = name.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("a node");
    let worker = sampan.process(name).expect("its process");
    for serving in ["sampan", "requests-", "heartbeats", "sampan-epoch"] {
        assert_eq!(of(worker, serving), first, "{serving}");
    }
    assert!(of(worker, "background") > first);
}
