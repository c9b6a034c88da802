//! Nodes that are cordoned and drained, by the real kubectl and by `sampan`.

use std::{
    process::Output,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::{
    client::Client,
    kubectl::with_hello,
    sampan::{Role, Sampan, command, wait_for},
};

/// The name of the only node.
fn node(sampan: &Sampan) -> String {
    let name = || Some(sampan.kubectl_ok(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]));
    wait_for("there is a node", || name().filter(|name| !name.is_empty()))
}

fn pods(sampan: &Sampan, phase: &str) -> usize {
    let phases = sampan.kubectl_ok(&["get", "pods", "-o", "jsonpath={.items[*].status.phase}"]);
    phases.split_whitespace().filter(|found| *found == phase).count()
}

/// What a command said that must fail.
pub(crate) fn failed(what: &str, output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{what}: {said}");
    said
}

#[test]
fn new_pods_wait_while_the_node_is_cordoned_and_say_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello(folder.path());
    let node = node(&sampan);
    assert!(sampan.kubectl_ok(&["cordon", &node]).contains("cordoned"));
    assert!(sampan.cli_ok(&["get", "nodes"]).contains("Ready,SchedulingDisabled"));
    sampan.kubectl_ok(&["scale", "deployment/hello", "--replicas=2"]);
    wait_for("a pod is pending", || (pods(&sampan, "Pending") == 1).then_some(()));
    let why = sampan.kubectl_ok(&["get", "pods", "-o", "jsonpath={.items[*].status.conditions[0].message}"]);
    assert!(why.contains("unschedulable"), "{why}");
    assert_eq!(pods(&sampan, "Running"), 1, "what runs there goes on");
    let uncordoned = sampan.kubectl_ok(&["uncordon", &node]);
    assert!(uncordoned.contains("uncordoned"), "{uncordoned}");
    sampan.kubectl_ok(&["rollout", "status", "deployment/hello", "--timeout=120s"]);
    assert_eq!(pods(&sampan, "Running"), 2);
    assert!(!sampan.cli_ok(&["get", "nodes"]).contains("SchedulingDisabled"));
}

#[test]
fn a_cordon_survives_a_kill_as_soon_as_it_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello(folder.path());
    let name = node(&sampan);
    assert_eq!(sampan.cli_ok(&["cordon", &name]), format!("node/{name} cordoned\n"));
    sampan.kill();
    let sampan = Sampan::up(folder.path());
    assert_eq!(node(&sampan), name);
    assert_eq!(sampan.cli_ok(&["cordon", &name]), format!("node/{name} cordoned\n"));
    wait_for("its pod waits", || (pods(&sampan, "Pending") == 1).then_some(()));
    assert_eq!(sampan.cli_ok(&["uncordon", &name]), format!("node/{name} uncordoned\n"));
    sampan.kubectl_ok(&["rollout", "status", "deployment/hello", "--timeout=120s"]);
}

#[test]
fn labels_annotations_and_taints_of_users_hold_over_a_kill_and_pods_go_by_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello(folder.path());
    let name = node(&sampan);
    assert_eq!(sampan.kubectl_ok(&["label", "node", &name, "disk=ssd"]), format!("node/{name} labeled\n"));
    sampan.kubectl_ok(&["annotate", "node", &name, "owner=ann"]);
    assert_eq!(sampan.kubectl_ok(&["taint", "node", &name, "gpu=yes:NoExecute"]), format!("node/{name} tainted\n"));
    wait_for("its pod is put off", || (pods(&sampan, "Pending") >= 1).then_some(()));
    let why = sampan.kubectl_ok(&["get", "pods", "-o", "jsonpath={.items[*].status.conditions[*].message}"]);
    assert!(why.contains("untolerated taint"), "{why}");
    sampan.kill();
    let sampan = Sampan::up(folder.path());
    assert_eq!(node(&sampan), name);
    let said = sampan.kubectl_ok(&[
        "get",
        "node",
        &name,
        "-o",
        "jsonpath={.metadata.labels.disk} {.metadata.annotations.owner} {.spec.taints[*].key}",
    ]);
    assert_eq!(said, "ssd ann gpu");
    assert_eq!(sampan.kubectl_ok(&["taint", "node", &name, "gpu-"]), format!("node/{name} untainted\n"));
    let select = r#"{"spec":{"template":{"spec":{"nodeSelector":{"disk":"ssd"}}}}}"#;
    sampan.kubectl_ok(&["patch", "deployment/hello", "-p", select]);
    sampan.kubectl_ok(&["rollout", "status", "deployment/hello", "--timeout=120s"]);
    assert_eq!(sampan.kubectl_ok(&["label", "node", &name, "disk-"]), format!("node/{name} unlabeled\n"));
    let refused = failed(
        "a taint of the server",
        sampan.kubectl(&["taint", "node", &name, "node.kubernetes.io/not-ready:NoSchedule"]),
    );
    assert!(refused.contains("spec.taints") && refused.contains("is set by the server"), "{refused}");
    let status = r#"{"status":{"capacity":{"pods":"1"}}}"#;
    let refused =
        failed("what the worker says", sampan.kubectl(&["patch", "node", &name, "--type=merge", "-p", status]));
    assert!(refused.contains("kubectl label"), "{refused}");
}

#[test]
fn draining_the_only_node_runs_out_of_time_and_no_request_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello(folder.path());
    let node = node(&sampan);
    let over = AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        let asking = scope.spawn(|| ask_until(&sampan, &over));
        // Failing before it says so would leave the thread to ask for ever.
        let told = [drain_with_kubectl(&sampan, &node), sampan.cli(&["drain", &node, "--timeout", "3s"])];
        over.store(true, Ordering::Relaxed);
        let [kubectl, own] = told.map(|output| failed("drain", output));
        assert!(kubectl.contains("evicting pod default/hello-"), "{kubectl}");
        assert!(kubectl.contains("unable to drain node"), "{kubectl}");
        assert!(own.contains(&format!("node/{node} cordoned")) && own.contains("pod/hello-"), "{own}");
        assert!(own.contains("is not empty after 3s: default/hello-"), "{own}");
        asking.join().expect("every request is answered")
    });
    assert!(asked > 0);
    sampan.cli_ok(&["uncordon", &node]);
    sampan.kubectl_ok(&["rollout", "status", "deployment/hello", "--timeout=120s"]);
}

#[test]
fn a_node_is_deleted_once_its_worker_is_gone_and_not_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server(folder.path(), 1);
    let mut second = command(&["worker", "--name", "second", "--data-dir"]);
    second.arg(folder.path()).arg("--join").arg(format!("unix:{}", folder.path().join("run/control.sock").display()));
    let worker = Role::start(second);
    sampan.wait_for_nodes(2);
    let refused = failed("delete node", sampan.kubectl(&["delete", "node", "second"]));
    assert!(refused.contains("kubectl drain") && refused.contains("is connected"), "{refused}");
    sampan.cli_ok(&["cordon", "second"]);
    worker.kill();
    // A session that was cut off is held for some seconds.
    let deleted = wait_for("its worker is known to be gone", || {
        let output = sampan.kubectl(&["delete", "node", "second", "--timeout=60s"]);
        output.status.success().then_some(output.stdout)
    });
    assert_eq!(String::from_utf8_lossy(&deleted), "node \"second\" deleted\n");
    assert!(!sampan.cli_ok(&["get", "nodes"]).contains("second"));
    sampan.kill();
    let sampan = Sampan::server(folder.path(), 1);
    assert!(!sampan.cli_ok(&["get", "nodes"]).contains("second"), "nor is it known after a restart");
}

fn drain_with_kubectl(sampan: &Sampan, node: &str) -> Output {
    sampan.kubectl(&["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=3s"])
}

/// Asks again and again; each request must be answered well. Answers how many there were.
fn ask_until(sampan: &Sampan, over: &AtomicBool) -> usize {
    let client = Client::new(&sampan.http, Some("hello.default.localhost"));
    let mut asked = 0;
    while !over.load(Ordering::Relaxed) {
        assert_eq!(client.get("/").status, 200);
        asked += 1;
    }
    asked
}
