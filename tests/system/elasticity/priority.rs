use super::{apply, build, ready};
use crate::{
    client::Client,
    failures::{Kind, Load},
    sampan::{Sampan, wait_for},
};

/// A Deployment whose replicas each take a third of the worker of these tests, and its Service.
fn manifest(name: &str, replicas: u32, class: &str) -> String {
    format!(
        r#"apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name} }}
spec:
  replicas: {replicas}
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }}, annotations: {{ sampan.dev/key-value: default }} }}
    spec:
      priorityClassName: {class}
      containers:
        - name: {name}
          image: "probe:test"
          resources: {{ requests: {{ memory: 32Mi }}, limits: {{ memory: 32Mi }} }}
---
apiVersion: v1
kind: Service
metadata: {{ name: {name} }}
spec: {{ selector: {{ app: {name} }}, ports: [{{ port: 80 }}] }}
"#
    )
}

fn class(name: &str, value: i32) -> String {
    let head = "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass";
    format!("{head}\nmetadata: {{ name: {name} }}\nvalue: {value}\n---\n")
}

#[test]
fn what_matters_more_takes_the_room_of_a_full_worker_and_no_request_of_the_others_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up_with(folder.path(), &["--guest-memory", "100Mi"]);
    build(&sampan);
    apply(&sampan, &(class("background", 10) + &manifest("report", 3, "background")));
    wait_for("it fills the worker", || (ready(&sampan, "report") == 3).then_some(()));
    let load = Load::start(&sampan.http, "report.default.localhost", 40.0, &[Kind::Sleep]);

    // The class comes after what names it: it is applied first all the same.
    apply(&sampan, &(manifest("checkout", 2, "earns-money") + "---\n" + &class("earns-money", 1000)));
    wait_for("it has taken two of the three places", || (ready(&sampan, "checkout") == 2).then_some(()));
    assert_eq!(Client::new(&sampan.http, Some("checkout.default.localhost")).get("/env").status, 200);
    wait_for("one of the others is left", || (ready(&sampan, "report") == 1).then_some(()));
    let events = sampan.kubectl_ok(&["get", "events"]);
    let preempted = events.lines().filter(|line| line.contains("Preempted") && line.contains("pod/report-"));
    let preempted: Vec<_> = preempted.collect();
    assert!(preempted.len() == 2 && preempted[0].contains("Preempted by default/checkout-"), "{events}");
    let waiting = sampan.kubectl_ok(&["describe", "pods", "-l", "app=report"]);
    assert!(waiting.contains("Insufficient memory"), "{waiting}");
    let shown = sampan.kubectl_ok(&["get", "pods", "-l", "app=checkout", "-o", "jsonpath={.items[*].spec.priority}"]);
    assert_eq!(shown, "1000 1000");

    sampan.kubectl_ok(&["delete", "deployment", "checkout"]);
    wait_for("the others are back", || (ready(&sampan, "report") == 3).then_some(()));
    let outcome = load.stop();
    assert!(
        outcome.failed.is_empty(),
        "{} of {} failed: {:?}",
        outcome.failed.len(),
        outcome.sent,
        outcome.failed.first()
    );
}

#[test]
fn a_class_that_is_not_there_is_refused_at_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    build(&sampan);
    let file = folder.path().join("missing.yaml");
    std::fs::write(&file, manifest("report", 1, "nowhere")).expect("a manifest");
    let refused = sampan.cli(&["apply", "-f", super::path(&file)]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("missing.yaml:10"), "{said}");
    assert!(said.contains("no PriorityClass with name nowhere was found"), "{said}");
    let classes = sampan.kubectl_ok(&["get", "priorityclasses"]);
    assert!(classes.contains("system-cluster-critical") && classes.contains("2000001000"), "{classes}");
}
