//! What `sampan dev` shows of requests, and what one that fails is told.

use std::{fs, path::PathBuf};

use crate::{
    client::{Client, Load},
    sampan::{Sampan, guest, root, wait_for},
};

const HOST: &str = "probe.default.localhost";

/// A project around the probe, which something else built.
fn project(folder: &std::path::Path) -> PathBuf {
    let project = folder.join("project");
    fs::create_dir(&project).expect("a folder");
    fs::copy(guest("probe"), project.join("probe.wasm")).expect("a copy");
    fs::copy(root().join("tests/system/probe.yaml"), project.join("probe.yaml")).expect("a copy");
    let text = "[app]\nname = \"probe\"\nmanifests = [\"probe.yaml\"]\n\n[component.probe]\nimage = \"probe:test\"\n\
                artifact = \"probe.wasm\"\n";
    fs::write(project.join("sampan.toml"), text).expect("a write");
    project
}

#[test]
fn each_request_has_a_line_and_one_that_fails_its_reason_in_answer_log_and_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::dev(&folder.path().join("data"), &project(folder.path()));
    let client = Client::new(&sampan.http, Some(HOST));
    wait_for("it answers", || client.try_get("/").ok().filter(|answer| answer.status == 200));
    client.get("/status/201?secret=1");
    let line = wait_for("its line", || {
        sampan.output().lines().find(|line| line.starts_with("GET /status/201 201 ")).map(str::to_owned)
    });
    assert!(line.contains(" ms probe-") && !line.contains("secret"), "{line}");

    let trapped = client.get("/trap").json();
    let id = trapped["error"]["request"].as_str().expect("a request's name").to_owned();
    assert_eq!(id.len(), 32, "{trapped}");
    sampan.wait_for_output("GET /trap 502 ");
    sampan.wait_for_output(&format!(
        "GuestTrapped: the guest trapped: it panicked or aborted (unreachable) (request {id})"
    ));
    // The replica's own log names it too.
    wait_for("its line in the log", || {
        let logged = sampan.cli_ok(&["logs", "probe"]);
        logged.lines().any(|line| line.contains("the guest trapped") && line.contains(&id)).then_some(())
    });

    let unknown = Client::new(&sampan.http, Some("nobody.localhost")).get("/where");
    assert_eq!(unknown.status, 404);
    let unknown = unknown.json();
    let id = unknown["error"]["request"].as_str().expect("a request's name");
    sampan.wait_for_output("GET /where 404 ");
    sampan.wait_for_output(&format!(
        "UnknownHost: no service and no rule is named by the host `nobody.localhost` (request {id})"
    ));
}

#[test]
fn lines_are_bounded_and_what_is_left_out_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::dev(&folder.path().join("data"), &project(folder.path()));
    let client = Client::new(&sampan.http, Some(HOST));
    wait_for("it answers", || client.try_get("/").ok().filter(|answer| answer.status == 200));
    let load = Load::start(&sampan.http, Some(HOST), "/many", 8);
    sampan.wait_for_output(" × 404");
    load.stop();
    let output = sampan.output();
    let (lines, summaries) = (output.matches("GET /many ").count(), output.matches(" more in ").count());
    assert!(lines <= 20 * (summaries + 2), "{lines} lines and {summaries} summaries");
}
