//! The real kubectl.

use std::{path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::*;

/// Where kubectl may be, if `SAMPAN_KUBECTL` does not say.
const NAMES: [&str; 2] = ["kubectl.1.33", "kubectl"];

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("SAMPAN_KUBECTL") {
        return named.into();
    }
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/kubectl");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = NAMES.iter().flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
    let found = std::iter::once(fetched).chain(on_path).find(|file| file.is_file());
    found.expect("kubectl is needed: run `scripts/setup test`, or set SAMPAN_KUBECTL to one of version 1.27 or later")
}

impl Server {
    fn kubectl(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--kubeconfig").arg(self.kubeconfig()).arg("--cache-dir").arg(self.folder.path().join("cache"));
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    pub(super) async fn run(&self, args: &[&str]) -> (bool, String) {
        let output = tokio::time::timeout(PATIENCE, self.kubectl(args).output()).await.expect("kubectl ends").unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    }

    pub(super) async fn ok(&self, args: &[&str]) -> String {
        let (succeeded, text) = self.run(args).await;
        assert!(succeeded, "kubectl {}: {text}", args.join(" "));
        text
    }

    async fn fails(&self, args: &[&str]) -> String {
        let (succeeded, text) = self.run(args).await;
        assert!(!succeeded, "kubectl {}: {text}", args.join(" "));
        text
    }

    fn manifest(&self, object: &Value) -> String {
        let file = self.folder.path().join("manifest.yaml");
        std::fs::write(&file, serde_norway::to_string(object).unwrap()).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn follow(&self, args: &[&str]) -> Following {
        let mut child = self.kubectl(args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Following { _child: child, lines }
    }
}

/// A kubectl that goes on printing.
struct Following {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    async fn until(&mut self, text: &str) -> String {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.lines.next_line())
                .await
                .unwrap_or_else(|_| panic!("`{text}` comes"));
            let line = line.unwrap().unwrap_or_else(|| panic!("it ended without `{text}`"));
            if line.contains(text) {
                return line;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_gets_scales_and_deletes() {
    let server = Server::start().await;
    let manifest = server.manifest(&deployment("cart"));
    assert!(server.ok(&["apply", "-f", &manifest]).await.contains("deployment.apps/cart created"));
    assert!(server.ok(&["apply", "-f", &manifest]).await.contains("deployment.apps/cart unchanged"));
    let table = server.ok(&["get", "deployments"]).await;
    let heading: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heading, ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]);
    assert!(table.contains("0/1"), "{table}");
    assert!(server.ok(&["get", "all", "-A"]).await.contains("deployment.apps/cart"));
    assert!(server.ok(&["get", "deploy", "cart", "-o", "yaml"]).await.contains("image: hello:v1"));
    assert!(server.ok(&["scale", "deployment/cart", "--replicas=3"]).await.contains("scaled"));
    assert!(server.ok(&["scale", "deployment/cart", "--current-replicas=3", "--replicas=2"]).await.contains("scaled"));
    assert_eq!(server.ok(&["get", "deploy/cart", "-o", "jsonpath={.spec.replicas}"]).await, "2");
    assert!(server.ok(&["set", "image", "deployment/cart", "c=hello:v2"]).await.contains("image updated"));
    assert!(server.ok(&["label", "deployment/cart", "x=y"]).await.contains("labeled"));
    assert!(server.ok(&["rollout", "restart", "deployment/cart"]).await.contains("restarted"));
    assert!(server.ok(&["describe", "deployment", "cart"]).await.contains("hello:v2"));
    assert!(server.ok(&["delete", "deployment", "cart"]).await.contains("deleted"));
    assert!(server.fails(&["get", "deployment", "cart"]).await.contains("NotFound"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_watches_and_follows_logs() {
    let server = Server::start().await;
    let pod = |phase: &str| {
        json!({ "metadata": { "name": "p", "namespace": "default", "creationTimestamp": "2024-01-01T00:00:00Z" },
            "spec": { "containers": [ { "name": "c", "image": "hello:v1" } ] },
            "status": { "phase": phase, "containerStatuses": [ { "name": "c", "ready": phase == "Running", "restartCount": 0 } ] } })
    };
    let put = |phase: &str| server.live.put("core/pods/default/p".to_owned(), pod(phase).to_string().into());
    put("Pending");
    let mut watch = server.follow(&["get", "pods", "-w"]);
    watch.until("Pending").await;
    put("Running");
    assert!(watch.until("Running").await.contains("1/1"));
    let line = |text: &str| api::replica::LogLine {
        at: Timestamp::from_secs(1),
        source: api::replica::LogSource::Stdout,
        text: text.to_owned(),
    };
    server.logs.append(&pod_key("p"), vec![line("first")], now());
    let mut logs = server.follow(&["logs", "-f", "p"]);
    logs.until("first").await;
    server.logs.append(&pod_key("p"), vec![line("second")], now());
    logs.until("second").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_is_told_what_is_wrong_and_what_conflicts() {
    let server = Server::start().await;
    let mut wrong = deployment("cart");
    wrong["spec"]["replica"] = json!(3);
    let said = server.fails(&["apply", "-f", &server.manifest(&wrong)]).await;
    assert!(said.contains("spec.replica") && said.contains("did you mean `replicas`?"), "{said}");
    server.ok(&["apply", "-f", &server.manifest(&deployment("cart"))]).await;
    let old = server.ok(&["get", "deployment", "cart", "-o", "json"]).await;
    server.ok(&["scale", "deployment/cart", "--replicas=3"]).await;
    let said = server.fails(&["replace", "-f", &server.manifest(&serde_json::from_str(&old).unwrap())]).await;
    assert!(said.contains("Conflict") && said.contains("modified"), "{said}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_dry_runs_on_the_server_and_applies_there() {
    let server = Server::start().await;
    let manifest = server.manifest(&deployment("cart"));
    assert!(server.ok(&["apply", "-f", &manifest, "--dry-run=server"]).await.contains("server dry run"));
    server.fails(&["get", "deployment", "cart"]).await;
    assert!(server.ok(&["apply", "--server-side", "-f", &manifest]).await.contains("serverside-applied"));
    assert!(server.ok(&["apply", "--server-side", "-f", &manifest]).await.contains("serverside-applied"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_managers_apply_at_the_servers_side_and_meet_in_conflicts() {
    let server = Server::start().await;
    let mut of_one = deployment("cart");
    of_one["spec"]["replicas"] = json!(2);
    of_one["metadata"]["annotations"] = json!({ "a.example/of-one": "x" });
    let applied = |manager: &'static str, file: &str, more: &[&'static str]| {
        let mut args = vec!["apply".to_owned(), "--server-side".to_owned(), format!("--field-manager={manager}")];
        args.extend(["-f".to_owned(), file.to_owned()]);
        args.extend(more.iter().map(|flag| (*flag).to_owned()));
        args
    };
    macro_rules! apply {
        ($run:ident, $manager:literal, $object:expr, $($flag:literal),*) => {{
            let args = applied($manager, &server.manifest($object), &[$($flag),*]);
            server.$run(&args.iter().map(String::as_str).collect::<Vec<_>>()).await
        }};
    }
    apply!(ok, "one", &of_one,);
    let of_two = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "cart" },
        "spec": { "replicas": 4, "minReadySeconds": 3 } });
    let said = apply!(fails, "two", &of_two,);
    assert!(said.contains("conflict with \"one\": .spec.replicas"), "{said}");
    apply!(ok, "two", &of_two, "--force-conflicts");
    let path = "jsonpath={.spec.replicas} {.spec.minReadySeconds} {.metadata.managedFields[*].manager}";
    let shown = server.ok(&["get", "deployment", "cart", "--show-managed-fields", "-o", path]).await;
    assert_eq!(shown, "4 3 one two");
    // What a manager leaves out goes, if it is nobody else's.
    of_one["metadata"].as_object_mut().unwrap().remove("annotations");
    of_one["spec"].as_object_mut().unwrap().remove("replicas");
    apply!(ok, "one", &of_one,);
    let left = "jsonpath={.spec.replicas}{.metadata.annotations.a\\.example/of-one}";
    assert_eq!(server.ok(&["get", "deployment", "cart", "-o", left]).await, "4");
    // A scale is a write like any other.
    server.ok(&["scale", "deployment/cart", "--replicas=5"]).await;
    let said = apply!(fails, "two", &of_two,);
    assert!(said.contains("with subresource \"scale\" using apps/v1"), "{said}");
    let hidden = server.ok(&["get", "deployment", "cart", "-o", "yaml"]).await;
    assert!(!hidden.contains("managedFields"), "{hidden}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_applied_at_the_clients_side_may_go_on_at_the_servers() {
    let server = Server::start().await;
    let mut object = deployment("cart");
    object["spec"]["replicas"] = json!(2);
    object["metadata"]["labels"]["old"] = json!("x");
    server.ok(&["apply", "-f", &server.manifest(&object)]).await;
    object["spec"]["replicas"] = json!(3);
    object["metadata"]["labels"].as_object_mut().unwrap().remove("old");
    server.ok(&["apply", "--server-side", "-f", &server.manifest(&object)]).await;
    let path = "jsonpath={.spec.replicas}{.metadata.labels.old}";
    assert_eq!(server.ok(&["get", "deployment", "cart", "-o", path]).await, "3");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_deploys_the_samples_that_are_there() {
    let server = Server::start().await;
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    let folders = std::fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().path().join("deploy"));
    let folders: Vec<_> = folders.filter(|folder| folder.is_dir()).collect();
    assert!(!folders.is_empty());
    for folder in folders {
        let said = server.ok(&["apply", "-f", folder.to_str().unwrap()]).await;
        assert!(said.contains("created"), "{said}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_creates_what_it_sends_in_protobuf() {
    let server = Server::start().await;
    server.ok(&["create", "namespace", "shop"]).await;
    server.ok(&["create", "configmap", "words", "-n", "shop", "--from-literal", "hello=world"]).await;
    let account = ["--docker-server=a.example", "--docker-username=cook", "--docker-password=s3cret"];
    server.ok(&[&["create", "secret", "docker-registry", "kitchen", "-n", "shop"][..], &account].concat()).await;
    server.ok(&["create", "secret", "generic", "key", "-n", "shop", "--from-literal", "key=value"]).await;
    let word = server.ok(&["get", "configmap", "words", "-n", "shop", "-o", "jsonpath={.data.hello}"]).await;
    assert_eq!(word, "world");
    let secret = ["get", "secret", "kitchen", "-n", "shop", "-o", "jsonpath={.type} {.data}"];
    let shown = server.ok(&secret).await;
    assert!(shown.starts_with("kubernetes.io/dockerconfigjson {\".dockerconfigjson\":\"ey"), "{shown}");
    server.ok(&["create", "deployment", "hello", "--image", "hello:v1", "--replicas=2", "--port=80"]).await;
    let spec = "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].ports[0].containerPort}";
    assert_eq!(server.ok(&["get", "deployment", "hello", "-o", spec]).await, "2 80");
    server.ok(&["create", "service", "clusterip", "hello", "--tcp=80"]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_autoscales_and_shows_what_an_autoscaler_does() {
    let server = Server::start().await;
    server.ok(&["apply", "-f", &server.manifest(&deployment("cart"))]).await;
    let said = server.ok(&["autoscale", "deployment", "cart", "--min=1", "--max=5", "--cpu-percent=50"]).await;
    assert!(said.contains("autoscaled") && said.contains("requests none"), "{said}");
    let table = server.ok(&["get", "hpa"]).await;
    let heading: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heading, ["NAME", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"]);
    assert!(table.contains("Deployment/cart   cpu: <unknown>/50%   1         5         0 "), "{table}");
    let metric = |side: &str, amount: Value| json!({ "type": "Pods", "pods": { "metric": { "name": "http_requests_per_second" }, side: amount } });
    let target = metric("target", json!({ "type": "AverageValue", "averageValue": "50" }));
    let patch = json!({ "spec": { "minReplicas": 0, "metrics": [target],
        "behavior": { "scaleDown": { "stabilizationWindowSeconds": 2 } } } });
    server.ok(&["patch", "hpa", "cart", "--type=merge", "-p", &patch.to_string()]).await;
    let condition = |kind: &str, reason: &str| {
        json!({ "type": kind, "status": "True", "reason": reason, "message": "so it is",
        "lastTransitionTime": "2026-01-01T00:00:00Z" })
    };
    let status = json!({ "status": { "observedGeneration": 2, "currentReplicas": 2, "desiredReplicas": 3,
        "lastScaleTime": "2026-01-01T00:00:00Z", "currentMetrics": [metric("current", json!({ "averageValue": "61500m" }))],
        "conditions": [condition("AbleToScale", "ReadyForNewScale"), condition("ScalingActive", "ValidMetricFound")] } });
    server.ok(&["patch", "hpa", "cart", "--subresource=status", "--type=merge", "-p", &status.to_string()]).await;
    let table = server.ok(&["get", "hpa"]).await;
    assert!(table.contains("61500m/50   0         5         2 "), "{table}");
    let described = server.ok(&["describe", "hpa", "cart"]).await;
    for line in [
        "\"http_requests_per_second\" on pods:  61500m / 50",
        "2 current / 3 desired",
        "ReadyForNewScale",
        "Stabilization Window: 2 seconds",
    ] {
        assert!(described.contains(line), "{line}: {described}");
    }
    let old = server.ok(&["get", "horizontalpodautoscalers.v1.autoscaling", "cart", "-o", "yaml"]).await;
    assert!(old.contains("apiVersion: autoscaling/v1") && old.contains("alpha.kubernetes.io/conditions"), "{old}");
    let whole: Value = serde_norway::from_str(&old).unwrap();
    let applied = server.ok(&["replace", "-f", &server.manifest(&whole)]).await;
    assert!(applied.contains("replaced"), "{applied}");
    let window = "jsonpath={.spec.behavior.scaleDown.stabilizationWindowSeconds} {.status.desiredReplicas}";
    assert_eq!(server.ok(&["get", "hpa", "cart", "-o", window]).await, "2 3");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_creates_and_shows_priority_classes() {
    let server = Server::start().await;
    let create = ["create", "priorityclass", "high", "--value=1000", "--description=what earns money"];
    server.ok(&create).await;
    server.ok(&["create", "priorityclass", "patient", "--value=-5", "--preemption-policy=Never"]).await;
    let table = server.ok(&["get", "pc"]).await;
    let heading: Vec<_> = table.lines().next().unwrap().split_whitespace().take(4).collect();
    assert_eq!(heading, ["NAME", "VALUE", "GLOBAL-DEFAULT", "AGE"]);
    assert!(table.contains("high ") && table.contains("Never"), "{table}");
    let described = server.ok(&["describe", "priorityclass", "high"]).await;
    assert!(described.contains("what earns money") && described.contains("1000"), "{described}");
    let said = server.fails(&["create", "priorityclass", "system-x", "--value=1"]).await;
    assert!(said.contains("names that begin with `system-`"), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn what_has_left_a_folder_is_pruned_when_it_is_applied() {
    let server = Server::start().await;
    let folder = server.folder.path().join("set");
    std::fs::create_dir(&folder).unwrap();
    for name in ["stays", "goes"] {
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": name, "namespace": "default", "labels": { "set": "one" } } });
        std::fs::write(folder.join(format!("{name}.json")), object.to_string()).unwrap();
    }
    let apply = ["apply", "-f", folder.to_str().unwrap(), "--prune", "-l", "set=one"];
    server.ok(&apply).await;
    std::fs::remove_file(folder.join("goes.json")).unwrap();
    let said = server.ok(&apply).await;
    assert!(said.contains("configmap/goes pruned"), "{said}");
    assert_eq!(server.ok(&["get", "configmaps", "-l", "set=one", "-o", "name"]).await.trim(), "configmap/stays");
    server.stop().await;
}

#[tokio::test]
async fn all_that_was_printed_can_be_applied_with_the_pods_in_it() {
    let server = Server::start().await;
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a-1-x", "namespace": "default", "uid": "1",
            "ownerReferences": [ { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a-1", "uid": "2", "controller": true } ] },
        "spec": { "containers": [ { "name": "c", "image": "hello:v1" } ] }, "status": { "phase": "Running" } });
    server.live.put("core/pods/default/a-1-x".to_owned(), pod.to_string().into());
    let printed = server.ok(&["get", "all", "-o", "yaml"]).await;
    let file = server.folder.path().join("all.yaml");
    std::fs::write(&file, printed).unwrap();
    let apply = ["apply", "-f", file.to_str().unwrap()];
    assert!(server.ok(&apply).await.contains("changes nothing"));
    // Elsewhere, where its ReplicaSet has made others.
    server.live.delete("core/pods/default/a-1-x".to_owned());
    assert!(server.ok(&apply).await.contains("changes nothing"));
    assert!(!server.ok(&["get", "pods", "-o", "name"]).await.contains("a-1-x"));
    server.fails(&["label", "pod", "a-1-x", "a=b"]).await;
    server.stop().await;
}

#[tokio::test]
async fn kubectl_explains_fields_in_our_words_and_what_is_done_with_them() {
    let server = Server::start().await;
    let strategy = server.ok(&["explain", "deployment.spec.strategy", "--recursive"]).await;
    for said in ["How Pods of one revision are replaced", "rollingUpdate", "maxSurge", "maxUnavailable"] {
        assert!(strategy.contains(said), "{said}: {strategy}");
    }
    let port = server.ok(&["explain", "pods.spec.containers.ports.hostPort"]).await;
    assert!(port.contains("Sampan refuses it"), "{port}");
    for kind in
        ["svc", "ing", "hpa", "cm", "secret", "sa", "roles", "lease", "networkpolicies", "nodes", "events", "pdb"]
    {
        let said = server.ok(&["explain", kind]).await;
        assert!(said.contains("metadata"), "{said}");
    }
    let metrics = server.ok(&["explain", "hpa.spec.metrics", "--api-version=autoscaling/v2"]).await;
    assert!(metrics.contains("containerResource"), "{metrics}");
    server.fails(&["explain", "deployment.spec.nothing"]).await;
}
