use super::{Cluster, HOST, pods};
use crate::{
    client::Client,
    kubectl::deploy_probe,
    sampan::{Role, Sampan, command, guest, signal, wait_for},
};

const OTHER: &str = "probe.other.localhost";

#[test]
fn a_data_directory_with_a_long_path_and_a_long_namespace_serve_as_others_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let deep = folder.path().join("a-folder-of-many-characters/".repeat(6));
    std::fs::create_dir_all(&deep).expect("a folder");
    let sampan = Sampan::server(&deep, 1);
    deploy_probe(&sampan);
    let one = Client::new(&sampan.http, Some(HOST));
    assert_eq!(one.put_text("/kv/default/greeting", "hello").status, 200);

    let mut worker = command(&["worker", "--isolation", "namespace", "--name", "w", "--data-dir"]);
    let socket = deep.join("run/control.sock");
    worker.arg(deep.join("second")).arg("--join").arg(format!("unix:{}", socket.display()));
    let _worker = Role::start(worker);
    sampan.wait_for_nodes(2);
    let namespace = "n".repeat(63);
    sampan.kubectl_ok(&["create", "namespace", &namespace]);
    let others = sampan.kubectl_ok(&["get", "nodes", "-o", "name"]);
    let first = others.lines().filter_map(|name| name.strip_prefix("node/")).find(|name| *name != "w");
    sampan.cli_ok(&["cordon", first.expect("the server's worker")]);
    let manifest = deep.join("probe.yaml");
    sampan.cli_ok(&["apply", "-n", &namespace, "-f", manifest.to_str().expect("UTF-8")]);
    sampan.cli_ok(&["rollout", "status", "-n", &namespace, "deployment/probe"]);
    let other = Client::new(&sampan.http, Some(&format!("probe.{namespace}.localhost")));
    assert_eq!(other.get("/kv/default/greeting").status, 404, "stores are apart");
}

#[test]
fn replicas_of_different_namespaces_share_no_process_and_one_that_ends_is_no_others_trouble() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server_with(folder.path(), 0, &[]);
    let mut worker =
        command(&["worker", "--isolation", "namespace", "--name", "w", "--drain-timeout", "1s", "--data-dir"]);
    worker.arg(folder.path()).arg("--join").arg(format!("unix:{}", folder.path().join("run/control.sock").display()));
    let worker = Role::start(worker);
    sampan.wait_for_nodes(1);
    deploy_probe(&sampan);
    sampan.kubectl_ok(&["create", "namespace", "other"]);
    let manifest = folder.path().join("probe.yaml");
    sampan.cli_ok(&["apply", "-n", "other", "-f", manifest.to_str().expect("UTF-8")]);
    sampan.cli_ok(&["rollout", "status", "-n", "other", "deployment/probe"]);

    let (one, other) = (Client::new(&sampan.http, Some(HOST)), Client::new(&sampan.http, Some(OTHER)));
    assert_eq!((one.get("/env").status, other.get("/env").status), (200, 200));
    assert_eq!(one.put_text("/kv/default/greeting", "hello").status, 200);
    assert_eq!(other.get("/kv/default/greeting").status, 404, "stores are apart");
    let (first, second) = (sampan.process("w.default"), sampan.process("w.other"));
    assert_ne!(first, second);

    signal("KILL", first.expect("it runs"));
    for _ in 0..20 {
        assert_eq!(other.get("/env").status, 200);
    }
    wait_for("the killed one is back", || one.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
    assert_eq!(sampan.process("w.other"), second, "it was left alone");

    sampan.kubectl_ok(&["delete", "deployment", "probe", "-n", "other"]);
    wait_for("a process without replicas ends", || sampan.process("w.other").is_none().then_some(()));
    assert_eq!(pods(&sampan).len(), 2);
    signal("TERM", worker.id());
    wait_for("nothing is left running", || sampan.process("w.default").is_none().then_some(()));
}

#[test]
fn guests_without_network_reach_services_that_run_on_other_machines_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let on = |place: &'static str| ["--label", place];
    let (one, two) = (on("place=one"), on("place=two"));
    let cluster = Cluster::start_with(folder.path(), &[&one, &two], &["--workers", "1"]);
    cluster.cli(&["build", guest("probe").to_str().expect("UTF-8"), "-t", "probe:test"]);
    let nodes = cluster.cli(&["get", "nodes"]);
    let own = nodes.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    let own = own.into_iter().find(|name| !["w1", "w2"].contains(name)).expect("the server's worker").to_owned();
    let app = |name: &str, place: &str| {
        format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {{sampan.dev/key-value: default, sampan.dev/outbound: called}}}}
    spec: {{nodeSelector: {{{place}}}, containers: [{{name: main, image: 'probe:test'}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}
---
"
        )
    };
    let file = folder.path().join("apps.yaml");
    let at_server = format!("kubernetes.io/hostname: {own}");
    let apps = app("called", "place: two") + &app("caller", "place: one") + &app("inside", &at_server);
    std::fs::write(&file, apps).expect("a manifest");
    cluster.cli(&["apply", "-f", file.to_str().expect("UTF-8")]);
    for name in ["called", "caller", "inside"] {
        cluster.cli(&["rollout", "status", &format!("deployment/{name}")]);
    }
    // From a worker that joined, and from one that the server started.
    for caller in ["caller", "inside"] {
        let client = Client::new(&cluster.http, Some(&format!("{caller}.default.localhost")));
        wait_for("the other machine answers", || {
            (client.get("/fetch?url=http://called/env").status == 200).then_some(())
        });
    }
}
