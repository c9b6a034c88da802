//! The real kubectl against a running server.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    client::Client,
    sampan::{PATIENCE, Sampan, guest, root, wait_for},
};

const HELLO: &str = "samples/hello/deploy";

/// A server with the hello sample deployed and ready.
pub(crate) fn with_hello(data_dir: &std::path::Path) -> Sampan {
    let sampan = Sampan::up(data_dir);
    let component = guest("hello");
    sampan.cli_ok(&["build", component.to_str().expect("UTF-8"), "-t", "hello:dev"]);
    let manifests = root().join(HELLO);
    sampan.kubectl_ok(&["apply", "-f", manifests.to_str().expect("UTF-8")]);
    sampan.kubectl_ok(&["rollout", "status", "deployment/hello", "--timeout=120s"]);
    sampan
}

#[test]
fn kubectl_applies_scales_watches_and_deletes() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello(folder.path());

    let pods = sampan.kubectl_ok(&["get", "pods"]);
    assert!(pods.starts_with("NAME") && pods.contains("READY") && pods.contains("Running"), "{pods}");
    let deployments = sampan.kubectl_ok(&["get", "deployments"]);
    assert!(deployments.contains("UP-TO-DATE") && deployments.contains("1/1"), "{deployments}");
    assert!(sampan.kubectl_ok(&["get", "nodes"]).contains("Ready"));
    assert!(sampan.kubectl_ok(&["get", "deployment", "hello", "-o", "yaml"]).contains("kind: Deployment"));

    let watcher = Watch::start(&sampan, &["get", "pods", "-w"]);
    sampan.kubectl_ok(&["scale", "deployment/hello", "--replicas=3"]);
    sampan.kubectl_ok(&["rollout", "status", "deployment/hello", "--timeout=120s"]);
    watcher.wait_for_lines_with("Running", 3);
    assert_eq!(ready_pods(&sampan), 3);

    let again = sampan.kubectl_ok(&["apply", "-f", root().join(HELLO).to_str().expect("UTF-8")]);
    assert!(again.contains("deployment.apps/hello"), "{again}");
    sampan.kubectl_ok(&["delete", "deployment", "hello"]);
    wait_for("no pod is left", || (ready_pods(&sampan) == 0).then_some(()));
    let gone = sampan.kubectl(&["get", "deployment", "hello"]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("NotFound"), "{gone:?}");
}

#[test]
fn kubectl_follows_the_logs_of_a_guest() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe(&sampan);
    sampan.kubectl_ok(&["scale", "deployment/probe", "--replicas=1"]);
    wait_for("one pod is left", || (ready_pods(&sampan) == 1).then_some(()));
    let logs = Watch::start(&sampan, &["logs", "-f", "deployment/probe"]);
    let client = Client::new(&sampan.http, Some("probe.default.localhost"));
    assert_eq!(client.get("/stdout?msg=first-line").status, 200);
    logs.wait_for_lines_with("first-line", 1);
    assert_eq!(client.get("/stderr?msg=second-line").status, 200);
    logs.wait_for_lines_with("second-line", 1);
    assert!(sampan.kubectl_ok(&["logs", "deployment/probe", "--tail=1"]).contains("second-line"));
}

#[test]
fn a_rollout_that_cannot_succeed_leaves_the_old_revision_serving_and_can_be_undone() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello(folder.path());
    let client = Client::new(&sampan.http, Some("hello.default.localhost"));

    sampan.kubectl_ok(&["set", "image", "deployment/hello", "hello=no-such-image:v9"]);
    wait_for("the missing image is reported", || {
        sampan
            .kubectl_ok(&["get", "pods"])
            .contains("ErrImagePull")
            .then_some(())
            .or_else(|| sampan.kubectl_ok(&["get", "pods"]).contains("ImagePullBackOff").then_some(()))
    });
    assert_eq!(client.get("/").status, 200);
    sampan.kubectl_ok(&["rollout", "undo", "deployment/hello"]);
    sampan.kubectl_ok(&["rollout", "status", "deployment/hello", "--timeout=120s"]);
    assert_eq!(client.get("/").status, 200);
}

/// Deploys the test guest with every grant that its paths need.
pub(crate) fn deploy_probe(sampan: &Sampan) {
    deploy_probe_with(sampan, "");
}

/// As [`deploy_probe`], with further lines among the annotations.
pub(crate) fn deploy_probe_with(sampan: &Sampan, annotations: &str) {
    apply_probe_with(sampan, annotations);
    sampan.cli_ok(&["rollout", "status", "deployment/probe"]);
}

/// As [`deploy_probe_with`], without waiting for it to run.
pub(crate) fn apply_probe_with(sampan: &Sampan, annotations: &str) {
    let component = guest("probe");
    sampan.cli_ok(&["build", component.to_str().expect("UTF-8"), "-t", "probe:test"]);
    let manifest = sampan.data_dir.join("probe.yaml");
    let text = include_str!("probe.yaml").replace("        # further annotations\n", annotations);
    std::fs::write(&manifest, text).expect("a manifest");
    sampan.cli_ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
}

fn ready_pods(sampan: &Sampan) -> usize {
    sampan.kubectl_ok(&["get", "pods", "--no-headers"]).lines().filter(|line| line.contains("1/1")).count()
}

/// A kubectl that goes on printing.
struct Watch {
    child: std::process::Child,
    lines: mpsc::Receiver<String>,
}

impl Watch {
    fn start(sampan: &Sampan, args: &[&str]) -> Self {
        let mut child = sampan.kubectl_command(args).stdout(Stdio::piped()).spawn().expect("kubectl starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (send, lines) = mpsc::channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines }
    }

    /// Reads until `count` lines with `text` have come.
    fn wait_for_lines_with(&self, text: &str, count: usize) {
        let mut seen = Vec::new();
        while seen.iter().filter(|line: &&String| line.contains(text)).count() < count {
            match self.lines.recv_timeout(PATIENCE.min(Duration::from_secs(60))) {
                Ok(line) => seen.push(line),
                Err(_) => panic!("`{text}` did not come {count} times: {seen:#?}"),
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
