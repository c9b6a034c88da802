//! Workers whose kernel lacks a part of what they shut themselves in by: they say what stays open, and serve.
//!
//! The kernel is made to lack it by a filter of system calls, which a process has from the thread that starts it.

use std::{collections::BTreeMap, fs, thread};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use crate::{
    client::Client,
    kubectl::deploy_probe,
    sampan::{Role, Sampan, command},
};

/// Calls that fail, each whatever its arguments or only for one value of the first.
type Refused = &'static [(i64, Option<i32>)];

/// Starts a worker for which these calls fail with `errno`.
fn worker_without(sampan: &Sampan, refused: Refused, errno: i32) -> Role {
    let mut worker = command(&["worker", "--name", "w", "--data-dir"]);
    worker.arg(sampan.data_dir.join("w"));
    worker.arg("--join").arg(format!("unix:{}", sampan.data_dir.join("run/control.sock").display()));
    let filter = filter(refused, errno);
    // A filter is of its thread and of what that starts: this test keeps all calls.
    let starts = thread::spawn(move || {
        apply_filter(&filter).expect("this kernel filters system calls");
        Role::start(worker)
    });
    starts.join().expect("the worker starts")
}

fn filter(refused: Refused, errno: i32) -> BpfProgram {
    let rule = |first: i32| {
        let is_it = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, first as u64);
        SeccompRule::new(vec![is_it.expect("a condition")]).expect("a rule")
    };
    let mut rules = BTreeMap::new();
    for (call, first) in refused {
        rules.entry(*call).or_insert_with(Vec::new).extend(first.map(rule));
    }
    let arch = std::env::consts::ARCH.try_into().expect("an architecture that has filters");
    let refuses = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuses, arch).expect("a filter");
    filter.try_into().expect("a filter that compiles")
}

/// What the kernel says of a process.
fn status(process: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {field} in {status}")).trim().to_owned()
}

/// The worker joins, and answers as any other does: guests are compiled, run, and keep what they store.
fn assert_serves(sampan: &Sampan) {
    sampan.wait_for_nodes(1);
    deploy_probe(sampan);
    let client = Client::new(&sampan.http, Some("probe.default.localhost"));
    assert_eq!(client.get("/env").status, 200);
    assert_eq!(client.put_text("/kv/default/greeting", "hello").status, 200);
    assert_eq!(client.get("/kv/default/greeting").body, "hello");
}

#[test]
fn a_worker_whose_kernel_has_no_landlock_says_that_files_stay_open_and_serves() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server(folder.path(), 0);
    let worker = worker_without(&sampan, &[(libc::SYS_landlock_create_ruleset, None)], libc::ENOSYS);
    assert_serves(&sampan);
    worker.wait_for_output("the worker's sandbox has a gap: the kernel has no Landlock");
    assert_eq!(worker.output().matches("has a gap").count(), 1, "nothing else is missing");
    // The rest is given up: beside the test's own filter there are the worker's two.
    assert_eq!(status(worker.id(), "Seccomp_filters"), "3");
    assert_eq!(status(worker.id(), "CapEff"), "0000000000000000");
}

#[test]
fn a_worker_that_may_give_up_nothing_but_files_names_each_gap_and_serves() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server(folder.path(), 0);
    let prctl = |option| (libc::SYS_prctl, Some(option));
    let refused = vec![
        (libc::SYS_seccomp, None),
        (libc::SYS_capset, None),
        prctl(libc::PR_SET_NO_NEW_PRIVS),
        prctl(libc::PR_SET_SECCOMP),
        prctl(libc::PR_CAPBSET_DROP),
        prctl(libc::PR_CAP_AMBIENT),
    ];
    let worker = worker_without(&sampan, refused.leak(), libc::EPERM);
    assert_serves(&sampan);
    for gap in ["cannot rule out new privileges", "capabilities cannot be dropped", "system calls cannot be limited"] {
        worker.wait_for_output(gap);
    }
    assert!(!worker.output().contains("Landlock"), "files are closed all the same:\n{}", worker.output());
    assert_eq!(status(worker.id(), "Seccomp_filters"), "1", "the test's own");
}
