use serde_json::Value;

use crate::{client::Load, kubectl::with_hello, sampan::wait_for};

#[test]
fn top_shows_what_workers_replicas_and_services_use_while_they_are_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello(folder.path());
    let idle: Value = serde_json::from_str(&sampan.cli_ok(&["top", "-o", "json"])).expect("JSON");
    assert_eq!(idle["workers"][0]["replicas"], 1, "{idle}");
    assert!(idle["workers"][0]["cpuCapacityMillis"].as_u64().is_some_and(|millis| millis > 0), "{idle}");

    let load = Load::start(&sampan.http, Some("hello.default.localhost"), "/", 2);
    wait_for("requests and CPU are seen", || {
        let top: Value = serde_json::from_str(&sampan.cli_ok(&["top", "-o", "json"])).expect("JSON");
        let service = top["services"].as_array().expect("a list").iter().find(|service| service["name"] == "hello")?;
        let requests = service["requestsPerSecond"].as_f64().is_some_and(|rate| rate > 0.0);
        let latency = service["latencyMillis"].as_f64().is_some_and(|millis| millis > 0.0);
        let cpu = top["replicas"][0]["cpuMillis"].as_u64().is_some_and(|millis| millis > 0);
        (requests && latency && cpu).then_some(())
    });
    let shown = sampan.cli_ok(&["top"]);
    load.stop();
    for part in ["Workers\n", "Replicas\n", "Services\n", "MEMORY ASKED FOR", "REQ/S", "hello-"] {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
    let services = sampan.cli_ok(&["top", "services"]);
    assert!(services.contains("REQ/S") && !services.contains("Workers"), "{services}");
}
