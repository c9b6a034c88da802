//! Replicas that follow the traffic: real load through the real gateway, in one process and in several.

mod contention;
mod priority;
mod restart;
mod rollouts;
mod steps;
mod zero;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    client::Client,
    sampan::{Sampan, guest, wait_for},
};

/// The host of the test guest's Service.
const HOST: &str = "probe.default.localhost";
/// The longest that a service without requests may keep a replica here, where so little is set: a busy machine has slack.
const ASLEEP_WITHIN: Duration = Duration::from_secs(20);

/// Runs a scenario in one process, and with workers as processes of their own.
fn in_one_process_and_in_several(scenario: impl Fn(&Sampan)) {
    let folder = tempfile::tempdir().expect("a folder");
    scenario(&Sampan::up(folder.path()));
    let folder = tempfile::tempdir().expect("a folder");
    scenario(&Sampan::server(folder.path(), 2));
}

/// A Deployment whose number follows the traffic, and its Service.
struct Scaled<'a> {
    name: &'a str,
    image: &'a str,
    scale: &'a str,
    idle: &'a str,
    concurrency: u32,
}

impl Default for Scaled<'_> {
    fn default() -> Self {
        Self { name: "probe", image: "probe:test", scale: "0..10", idle: "500ms", concurrency: 4 }
    }
}

impl Scaled<'_> {
    fn manifest(&self) -> String {
        let Self { name, image, scale, idle, concurrency } = self;
        format!(
            r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  annotations: {{ sampan.dev/scale: "{scale}", sampan.dev/scale-to-zero-after: {idle} }}
spec:
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata:
      labels: {{ app: {name} }}
      annotations: {{ sampan.dev/concurrency: "{concurrency}", sampan.dev/key-value: default }}
    spec:
      containers: [{{ name: {name}, image: "{image}" }}]
---
apiVersion: v1
kind: Service
metadata: {{ name: {name} }}
spec: {{ selector: {{ app: {name} }}, ports: [{{ port: 80 }}] }}
"#
        )
    }

    fn apply(&self, sampan: &Sampan) {
        apply(sampan, &self.manifest());
    }

    /// Applies it, and waits until it has been compiled and nothing of it runs.
    fn asleep(&self, sampan: &Sampan) {
        build(sampan);
        self.apply(sampan);
        wait_for("it can be started", || (client(sampan).get("/env").status == 200).then_some(()));
        wait_until_asleep(sampan, self.name);
    }
}

fn build(sampan: &Sampan) {
    sampan.cli_ok(&["build", guest("probe").to_str().expect("UTF-8"), "-t", "probe:test"]);
}

fn apply(sampan: &Sampan, manifest: &str) {
    let file = sampan.data_dir.join("scaled.yaml");
    fs::write(&file, manifest).expect("a manifest");
    sampan.cli_ok(&["apply", "-f", path(&file)]);
}

fn path(file: &Path) -> &str {
    file.to_str().expect("UTF-8")
}

fn deployment(sampan: &Sampan, name: &str) -> Value {
    let json = sampan.cli_ok(&["get", "deployment", name, "-o", "json"]);
    serde_json::from_str(&json).expect("JSON")
}

/// Replicas that are ready.
fn ready(sampan: &Sampan, name: &str) -> u64 {
    deployment(sampan, name)["status"]["readyReplicas"].as_u64().unwrap_or(0)
}

/// Replicas of it that there are at all.
fn pods(sampan: &Sampan, name: &str) -> usize {
    sampan.cli_ok(&["get", "pods"]).lines().filter(|line| line.starts_with(&format!("{name}-"))).count()
}

fn wait_until_asleep(sampan: &Sampan, name: &str) {
    let began = Instant::now();
    wait_for("nothing of it runs, and that is written", || {
        let written = deployment(sampan, name)["spec"]["replicas"] == 0;
        (pods(sampan, name) == 0 && written).then_some(())
    });
    let took = began.elapsed();
    assert!(took < ASLEEP_WITHIN, "it was at zero after {took:?}");
}

fn client(sampan: &Sampan) -> Client {
    Client::new(&sampan.http, Some(HOST))
}
