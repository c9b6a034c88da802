//! A guest that has the host work, or hold things, for it.

use std::thread;

use crate::{
    client::Client,
    kubectl::deploy_probe_with,
    sampan::{Sampan, wait_for},
};

const HOST: &str = "probe.default.localhost";
/// What one request may make the process grow by: the limit of its replica, 256 MiB, and as much again for all else.
const GROWTH_KIB: u64 = 512 << 10;

fn deployed(folder: &std::path::Path) -> Sampan {
    let sampan = Sampan::up(folder);
    deploy_probe_with(&sampan, "");
    // The probe opens `carts`.
    sampan.kubectl_ok(&[
        "patch",
        "deployment",
        "probe",
        "-p",
        r#"{"spec":{"template":{"metadata":{"annotations":{"sampan.dev/key-value":"carts"}}}}}"#,
    ]);
    sampan.kubectl_ok(&["rollout", "status", "deployment/probe", "--timeout=120s"]);
    sampan
}

/// The most that the process has had resident.
fn peak_kib(sampan: &Sampan) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", sampan.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel counts it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn what_the_host_holds_for_a_guest_does_not_grow_beyond_the_limit_of_its_replica() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = deployed(folder.path());
    let client = Client::new(&sampan.http, Some(HOST));
    assert_eq!(client.get("/held/cas?count=3&bytes=4194304").status, 200);
    let before = peak_kib(&sampan);
    for path in ["/held/cas?count=300&bytes=4194304", "/held/bodies?count=900&bytes=1048576"] {
        let answer = client.get(path);
        assert!(answer.status == 200 || answer.body.contains("memory limit"), "{path}: {answer:?}");
        assert!(path.contains("bodies") || answer.status == 502, "{path}: {answer:?}");
    }
    let grown = peak_kib(&sampan) - before;
    assert!(grown < GROWTH_KIB, "it grew by {grown} KiB");
    wait_for("the log says what was held", || {
        sampan.cli_ok(&["logs", "deployment/probe"]).contains("what the host holds for an instance").then_some(())
    });
}

#[test]
fn neighbours_answer_while_a_guest_has_the_host_work_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = deployed(folder.path());
    thread::scope(|scope| {
        let attacks: Vec<_> = ["log?bytes=524288&count=110000", "random?bytes=65536", "stdout?piece=%0A&bytes=65536"]
            .into_iter()
            .map(|call| {
                let path = format!("/call/{call}&times=2000");
                let client = Client::new(&sampan.http, Some(HOST));
                scope.spawn(move || client.get(&path))
            })
            .collect();
        let client = Client::new(&sampan.http, Some(HOST));
        for _ in 0..50 {
            assert_eq!(client.get("/counter").status, 200);
        }
        for attack in attacks {
            let answer = attack.join().expect("an answer");
            assert!(answer.status == 200 || answer.status == 504, "{answer:?}");
        }
    });
}
