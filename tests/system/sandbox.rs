//! Workers' processes and what they have given up, seen from outside.
//!
//! Where the kernel is to lack a part of it, it is made to by a filter of system calls, which a process has from the thread
//! that starts it.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use crate::{
    client::Client,
    kubectl::{deploy_probe, deploy_probe_with},
    sampan::{Role, Sampan, command, signal, wait_for},
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
    let guests = sampan.process("w.guests").expect("it runs");
    assert_eq!(status(guests, "Seccomp_filters"), "3");
    assert_eq!(status(guests, "CapEff"), "0000000000000000");
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
    let guests = sampan.process("w.guests").expect("it runs");
    assert_eq!(status(guests, "Seccomp_filters"), "1", "the test's own");
}

/// Answers whoever comes, until the tests end.
fn outside() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                // Until it is closed: the worker keeps it.
                while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\noutside";
                    stream.write_all(answer).expect("it is read");
                }
            });
        }
    });
    address
}

/// The sockets of the network that a process holds, as lines of `/proc/net`.
fn network_sockets(process: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").filter_map(Result::ok);
    let links = links.filter_map(|link| Some(fs::read_link(link.path()).ok()?.to_str()?.to_owned()));
    let own: Vec<String> =
        links.filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect();
    let tables = ["tcp", "tcp6", "udp", "udp6"].map(|table| fs::read_to_string(format!("/proc/net/{table}")));
    let lines = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    lines
        .filter(|line| own.iter().any(|inode| line.split_whitespace().nth(9) == Some(inode)))
        .map(str::to_owned)
        .collect()
}

/// The guest reaches `granted` and nothing else, and its process has connections that lead there and no other socket of
/// the network.
fn assert_reaches_alone(sampan: &Sampan, granted: SocketAddr, worker: &str) {
    let client = Client::new(&sampan.http, Some("probe.default.localhost"));
    let answer = client.get(&format!("/fetch?url=http://{granted}/"));
    assert_eq!((answer.status, answer.body.as_str()), (200, "outside"));
    let refused = client.get(&format!("/fetch?url=http://{}/", outside()));
    assert!(refused.status == 502 && refused.body.contains("Denied"), "{} {}", refused.status, refused.body);

    let process = sampan.process(worker).expect("it runs");
    assert_eq!((status(process, "Seccomp"), status(process, "NoNewPrivs")), ("2".to_owned(), "1".to_owned()));
    let remote = format!("0100007F:{:04X}", granted.port());
    let sockets = network_sockets(process);
    assert!(!sockets.is_empty(), "the connection is kept");
    assert!(sockets.iter().all(|line| line.split_whitespace().nth(2) == Some(&remote)), "{sockets:#?}");
}

fn deploy_with_grant(sampan: &Sampan, granted: SocketAddr) {
    deploy_probe_with(sampan, &format!("        sampan.dev/outbound: {granted}\n"));
}

#[test]
fn a_worker_of_a_server_has_no_network_and_reaches_what_is_granted_through_the_server_also_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, granted) = (Sampan::server(folder.path(), 1), outside());
    deploy_with_grant(&sampan, granted);
    let nodes = sampan.cli_ok(&["get", "nodes"]);
    let worker = nodes.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("a node");
    assert_reaches_alone(&sampan, granted, worker);

    let before = sampan.process(worker).expect("it runs");
    signal("KILL", before);
    wait_for("another process", || sampan.process(worker).filter(|process| *process != before));
    let client = Client::new(&sampan.http, Some("probe.default.localhost"));
    wait_for("it serves", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
    assert_reaches_alone(&sampan, granted, worker);
    assert!(!sampan.output().contains("that no grant names"), "{}", sampan.output());
}

/// Grants a host to a guest on a worker that has joined by itself, whose guests run in this process.
fn joined_by_itself(isolation: &str, process: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, granted) = (Sampan::server(folder.path(), 0), outside());
    let mut worker = command(&["worker", "--isolation", isolation, "--name", "w", "--data-dir"]);
    worker.arg(folder.path()).arg("--join").arg(format!("unix:{}", folder.path().join("run/control.sock").display()));
    let _worker = Role::start(worker);
    sampan.wait_for_nodes(1);
    deploy_with_grant(&sampan, granted);
    assert_reaches_alone(&sampan, granted, process);
}

#[test]
fn guests_of_a_worker_that_joined_by_itself_have_no_network_and_reach_what_is_granted_through_it() {
    joined_by_itself("worker", "w.guests");
}

#[test]
fn a_namespaces_process_has_no_network_and_reaches_what_is_granted_through_the_worker() {
    joined_by_itself("namespace", "w.default");
}
