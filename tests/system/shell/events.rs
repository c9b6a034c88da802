use std::{io::BufRead, process::Stdio};

use serde_json::Value;

use super::{refusal, with_hello_and_broken};
use crate::sampan::{command, wait_for};

/// The times of these lines' first column, in seconds.
fn ages(table: &str) -> Vec<u64> {
    let seconds = |age: &str| -> u64 {
        let (mut total, mut number) = (0, 0);
        for character in age.chars() {
            match character {
                '0'..='9' => number = number * 10 + u64::from(character as u8 - b'0'),
                unit => {
                    total += number * if unit == 'm' { 60 } else { 1 };
                    number = 0;
                }
            }
        }
        total
    };
    table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(seconds).collect()
}

#[test]
fn events_are_shown_in_the_order_in_which_they_last_happened_and_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello_and_broken(folder.path());
    // An event that happens again moves to the end.
    wait_for("the pull is tried again", || {
        let events: Value = serde_json::from_str(&sampan.cli_ok(&["events", "-o", "json"])).expect("JSON");
        let counts = events["items"].as_array().expect("a list").iter().map(|event| event["count"].as_u64());
        counts.max().flatten().is_some_and(|most| most > 1).then_some(())
    });
    for command in [&["events"][..], &["get", "events"]] {
        let shown = sampan.cli_ok(command);
        let ages = ages(&shown);
        assert!(ages.len() > 5 && ages.is_sorted_by(|before, after| before >= after), "{command:?}: {shown}");
    }
    let header = sampan.cli_ok(&["events"]);
    assert!(header.starts_with("LAST SEEN   COUNT   TYPE"), "{header}");

    let of_broken = sampan.cli_ok(&["events", "--for", "deployment/broken"]);
    assert!(of_broken.contains("pod/broken-") && of_broken.contains("deployment/broken"), "{of_broken}");
    assert!(!of_broken.contains("hello"), "{of_broken}");
    let warnings = sampan.cli_ok(&["events", "--type", "Warning", "-A"]);
    assert!(warnings.starts_with("NAMESPACE") && warnings.contains("Failed to pull"), "{warnings}");
    assert!(!warnings.contains("Normal"), "{warnings}");
    let of_node = sampan.cli_ok(&["events", "-n", "elsewhere", "--for", "nodes/none"]);
    assert_eq!(of_node, "", "nothing is known of it");
    assert!(refusal(&sampan.cli(&["events", "--for", "deploymnet/x"])).contains("did you mean"));
    assert!(refusal(&sampan.cli(&["events", "--for", "deployment"])).contains("deployment/NAME"));
    assert!(refusal(&sampan.cli(&["events", "--watch", "-o", "json"])).contains("--watch goes with tables"));
}

#[test]
fn events_are_watched() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello_and_broken(folder.path());
    let mut watch = command(&["events", "--watch", "--for", "deployment/hello"]);
    let mut watch = watch.arg("--data-dir").arg(folder.path()).stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = std::io::BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    let (told, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send(line)));
    let until = |text: &str| {
        wait_for(text, || said.try_iter().any(|line| line.contains(text)).then_some(()));
    };
    until("Scaled up replica set");
    sampan.cli_ok(&["scale", "deployment/hello", "--replicas", "2"]);
    until("from 1 to 2");
    watch.kill().expect("it is stopped");
    watch.wait().expect("it ends");
}

#[test]
fn describe_shows_what_was_asked_for_the_replicas_why_they_are_not_ready_and_what_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello_and_broken(folder.path());
    let broken = sampan.cli_ok(&["describe", "deployment", "broken"]);
    for part in [
        "Name:           broken",
        "Replicas:       2 desired | 2 updated | 2 total | 0 ready | 2 unavailable",
        "Strategy:       RollingUpdate (25% max unavailable, 25% max surge)",
        "127.0.0.1:1/none:v1",
        "Conditions:",
        "MinimumReplicasUnavailable",
        "Revisions:",
        "Replicas:",
        "Not ready:",
        "ErrImagePull: cannot pull `127.0.0.1:1/none:v1`",
        "Events:",
        "ScalingReplicaSet",
        "Failed to pull image",
    ] {
        assert!(broken.contains(part), "{part} is missing in:\n{broken}");
    }
    assert!(!broken.contains("hello"), "{broken}");

    let node: Value = serde_json::from_str(&sampan.cli_ok(&["get", "nodes", "-o", "json"])).expect("JSON");
    let node = node["items"][0]["metadata"]["name"].as_str().expect("a name").to_owned();
    let hello = sampan.cli_ok(&["describe", "deployment/hello"]);
    let replica = hello.lines().find(|line| line.trim_start().starts_with("hello-") && line.contains("1/1"));
    assert!(replica.is_some_and(|line| line.contains(&node)), "the replica with its worker: {hello}");
    assert!(!hello.contains("Not ready"), "{hello}");
    for (kind, part) in [
        ("pod", "running since"),
        ("service", "80/TCP"),
        ("node", "hello-"),
        ("replicaset", "Controlled by:  Deployment/hello"),
        ("namespace", "Name:           default"),
    ] {
        assert!(sampan.cli_ok(&["describe", kind]).contains(part), "{kind}");
    }
    let whole: Value =
        serde_json::from_str(&sampan.cli_ok(&["describe", "deployment", "broken", "-o", "json"])).expect("JSON");
    assert_eq!(whole["replicas"].as_array().map(Vec::len), Some(2));
    assert!(whole["notReady"][0]["why"].as_str().is_some_and(|why| why.contains("ErrImagePull")), "{whole}");
    assert!(refusal(&sampan.cli(&["describe", "deployment", "none"])).contains("not found"));

    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {password: hunter2}\n";
    let manifest = folder.path().join("secret.yaml");
    std::fs::write(&manifest, secret).expect("a file");
    sampan.cli_ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    let secret = sampan.cli_ok(&["describe", "secret", "key"]);
    assert!(secret.contains("password: 7 bytes") && !secret.contains("aHVudGVyMg"), "{secret}");
}

#[test]
fn logs_find_the_deployment_of_a_name_or_say_which_names_there_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello_and_broken(folder.path());
    let http = crate::client::Client::new(&sampan.http, Some("hello.default.localhost"));
    wait_for("it answers", || http.try_get("/").ok().filter(|answer| answer.status == 200).map(drop));
    let by_name = sampan.cli(&["logs", "hello"]);
    assert!(by_name.status.success(), "{by_name:?}");
    assert_eq!(by_name.stdout, sampan.cli(&["logs", "deployment/hello"]).stdout);
    assert_eq!(
        by_name.stdout,
        sampan.cli_ok(&["logs", "service/hello"]).into_bytes(),
        "whom the Service sends requests to"
    );

    let mistyped = refusal(&sampan.cli(&["logs", "helo"]));
    assert!(mistyped.contains("there is no Deployment or Pod `helo` in namespace default"), "{mistyped}");
    assert!(mistyped.contains("did you mean `hello`? there is broken, hello"), "{mistyped}");
    let elsewhere = refusal(&sampan.cli(&["logs", "hello", "-n", "kube-system"]));
    assert!(elsewhere.contains("`sampan logs hello -n default`"), "{elsewhere}");
}
