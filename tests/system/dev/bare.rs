//! Projects without manifests, where they answer, and how they are ended.

use std::{fs, os::unix::fs::MetadataExt, process::Command};

use super::{copy, edit, editable_sample};
use crate::{
    client::Client,
    sampan::{Sampan, command, free_address, guest, root, succeed, wait_for},
};

#[test]
fn a_package_alone_answers_without_a_name_and_writes_its_manifests_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let sample = editable_sample(folder.path());
    fs::remove_file(sample.join("sampan.toml")).expect("it was there");
    fs::remove_dir_all(sample.join("deploy")).expect("it was there");
    let data = folder.path().join("data");
    let sampan = Sampan::dev(&data, &sample);
    sampan.wait_for_output("--write-manifests");
    let client = Client::new(&sampan.http, None);
    wait_for("it answers", || client.try_get("/").ok().filter(|answer| answer.body.contains("Hello from Sampan!")));
    sampan.wait_for_output(&format!("Open http://{}/ first.", sampan.http));
    edit(&sample.join("src/lib.rs"), "Hello from Sampan!", "Good morning!");
    wait_for("the edit", || client.try_get("/").ok().filter(|answer| answer.body.contains("Good morning!")));

    let path = sample.to_str().expect("a path");
    let written = succeed("dev", command(&["dev", path, "--write-manifests"]).output().expect("it starts"));
    assert!(written.contains("deploy/hello.yaml") && written.contains("sampan.toml"), "{written}");
    let again = command(&["dev", path, "--write-manifests"]).output().expect("it starts");
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    // They are as wide as what the user writes, for whoever else works on the project.
    let mode = |path: &str| fs::metadata(sample.join(path)).expect(path).mode();
    fs::write(sample.join("own"), "").expect("a write");
    assert_eq!(mode("deploy/hello.yaml"), mode("own"));
    fs::create_dir(sample.join("folder")).expect("a folder");
    assert_eq!(mode("deploy"), mode("folder"));
    // kubectl takes them too.
    let deploy = sample.join("deploy").display().to_string();
    let applied = sampan.kubectl_ok(&["apply", "--dry-run=server", "-f", &deploy]);
    assert!(applied.contains("deployment.apps/hello ") && applied.contains("service/hello "), "{applied}");
}

#[test]
fn a_component_is_rolled_out_whenever_something_else_makes_it_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path().join("project");
    fs::create_dir(&project).expect("a folder");
    let file = project.join("my_service.wasm");
    fs::copy(guest("hello"), &file).expect("a copy");
    let sampan = Sampan::dev(&folder.path().join("data"), &project);
    let client = Client::new(&sampan.http, Some("my-service.default.localhost"));
    wait_for("it answers", || client.try_get("/").ok().filter(|answer| answer.body.contains("Hello")));
    // With a section of its own it is another component that does the same.
    let again = [fs::read(&file).expect("a component"), b"\0\x03\x02ab".to_vec()].concat();
    fs::write(project.join("new"), again).expect("a write");
    fs::rename(project.join("new"), &file).expect("a move");
    sampan.wait_for_output("rolled out");
}

#[test]
fn this_machines_own_names_lead_to_one_app_and_to_a_page_of_several_and_strangers_names_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::dev(&folder.path().join("data"), &root().join("samples/hello"));
    let get = |host: &str| Client::new(&sampan.http, Some(host)).get("/");
    wait_for("hello answers", || (get("127.0.0.1").status == 200).then_some(()));
    for own in ["localhost", "127.0.0.1:8080", "[::1]", "localhost."] {
        assert_eq!(get(own).status, 200, "{own}");
    }
    for foreign in ["evil.example", "evil.localhost.example", "10.0.0.1", "hello.localhost", "sampan.dev"] {
        let answer = get(foreign);
        assert_eq!(answer.status, 404, "{foreign}");
        assert_eq!(answer.json().get("answering").is_some(), foreign == "hello.localhost", "{foreign}");
    }
    sampan.kubectl_ok(&["create", "service", "clusterip", "second", "--tcp=80:80"]);
    let several = wait_for("two Services", || Some(get("127.0.0.1")).filter(|answer| answer.status == 404)).json();
    let urls: Vec<&str> =
        several["answering"].as_array().unwrap().iter().filter_map(|one| one["url"].as_str()).collect();
    assert_eq!(urls, ["http://hello.default.localhost/", "http://second.default.localhost/"]);
    sampan.kubectl_ok(&["delete", "service", "second"]);
    wait_for("one Service again", || (get("127.0.0.1").status == 200).then_some(()));
}

#[test]
fn what_else_runs_is_told_and_ended_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let project = folder.path().join("first");
    copy(&root().join("samples/hello/deploy"), &project.join("deploy"));
    fs::copy(guest("hello"), project.join("first.wasm")).expect("a copy");
    let first = Sampan::dev(&data, &project);
    let port = &first.http;
    wait_for("it answers", || Client::new(port, None).try_get("/").ok().filter(|answer| answer.status == 200));
    first.end("INT");
    let other = folder.path().join("other");
    fs::create_dir(&other).expect("a folder");
    fs::copy(guest("hello"), other.join("other.wasm")).expect("a copy");
    let second = Sampan::dev(&data, &other);
    second.wait_for_output(&format!("`sampan down first --data-dir {}` ends it", data.display()));
    let unknown = second.cli(&["down", "frist"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `first`?"), "{unknown:?}");
    let unasked = second.cli(&["down"]);
    assert!(String::from_utf8_lossy(&unasked.stdout).contains("first: 1 Deployment, 1 Service"), "{unasked:?}");
    assert!(String::from_utf8_lossy(&unasked.stderr).contains("--all"), "{unasked:?}");
    let ended = second.cli_ok(&["down", "first"]);
    assert!(ended.contains("deployment.apps/first deleted") && ended.contains("first has ended"), "{ended}");
    assert!(!second.cli_ok(&["get", "deployments"]).contains("first"));
    assert!(second.cli_ok(&["down", "--all"]).contains("other has ended"));
    assert!(second.cli_ok(&["down"]).contains("Nothing that `sampan dev` deployed"));
}

#[test]
fn a_port_is_forwarded_to_a_service_for_this_machine_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path().join("hello.wasm");
    fs::copy(guest("hello"), &project).expect("a copy");
    let sampan = Sampan::dev(&folder.path().join("data"), &project);
    wait_for("it answers", || Client::new(&sampan.http, None).try_get("/").ok().filter(|answer| answer.status == 200));
    for target in ["service/hello", "deployment/hello"] {
        let local = free_address();
        let port = local.rsplit(':').next().expect("a port");
        let mut forward: Command = command(&["port-forward", target, &format!("{port}:80")]);
        forward.arg("--data-dir").arg(&sampan.data_dir);
        let role = crate::sampan::Role::start(forward);
        role.wait_for_output("is service/hello of default");
        let at = format!("127.0.0.1:{port}");
        assert!(Client::new(&at, None).get("/there").body.contains("You asked for /there"));
        assert_eq!(Client::new(&at, Some("evil.example")).get("/").status, 403);
    }
    let wrong = sampan.cli(&["port-forward", "service/hello", "9000:81"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("write 9000:80"), "{wrong:?}");
}
