//! A worker that joined over the network and that gateways do not reach: it takes nothing, and says what is to be done.

use crate::{
    client::Client,
    failures::HOST,
    kubectl::deploy_probe,
    nodes::failed,
    sampan::{Role, Sampan, command, free_address, succeed, wait_for},
};

#[test]
fn a_worker_that_joined_without_an_address_of_its_own_takes_no_replicas_and_the_last_that_is_reached_is_not_drained() {
    let folder = tempfile::tempdir().expect("a folder");
    let sessions = free_address();
    let sampan = Sampan::server_with(folder.path(), 1, &["--sessions", &sessions]);
    sampan.wait_for_output("sampan token create --out FILE");
    sampan.wait_for_output("--listen IP:PORT");
    deploy_probe(&sampan);
    let own = sampan.kubectl_ok(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
    let token = folder.path().join("token");
    sampan.cli_ok(&["token", "create", "--out", token.to_str().expect("UTF-8")]);
    let mut far = command(&["worker", "--join", &sessions, "--name", "far"]);
    far.arg("--token-file").arg(&token).arg("--data-dir").arg(folder.path().join("far"));
    let far = Role::start(far);
    far.wait_for_output("it gets no replicas: it joined over the network without `--listen IP:PORT`");
    far.wait_for_output("is up");
    let node = wait_for("its Node is there", || {
        let described = sampan.kubectl(&["describe", "node", "far"]);
        described.status.success().then(|| String::from_utf8_lossy(&described.stdout).into_owned())
    });
    assert!(node.contains("node.kubernetes.io/network-unavailable:NoSchedule"), "{node}");
    assert!(node.contains("Start it with `--listen IP:PORT`"), "{node}");
    let nodes = sampan.cli_ok(&["get", "nodes"]);
    assert!(nodes.lines().any(|line| line.contains("far") && line.contains("NetworkUnavailable")), "{nodes}");
    let events = sampan.kubectl_ok(&["get", "events", "-A"]);
    assert!(events.contains("NetworkUnavailable"), "{events}");
    sampan.kubectl_ok(&["scale", "deployment/probe", "--replicas", "4"]);
    sampan.kubectl_ok(&["rollout", "status", "deployment/probe", "--timeout=60s"]);
    let on = sampan.kubectl_ok(&["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"]);
    assert_eq!(on.split(' ').collect::<Vec<_>>(), [own.as_str(); 4]);
    let refused = failed("drain", sampan.cli(&["drain", &own, "--timeout", "3s"]));
    assert!(refused.contains("nothing is drained") && refused.contains("far"), "{refused}");
    assert!(refused.contains("--listen IP:PORT"), "{refused}");
    assert!(!sampan.kubectl_ok(&["get", "nodes"]).contains("SchedulingDisabled"));
    assert_eq!(Client::new(&sampan.http, Some(HOST)).get("/env").status, 200);
    succeed("drain of what is empty", sampan.cli(&["drain", "far"]));
}
