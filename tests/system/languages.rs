//! Guests of JavaScript and Python, built here with their own toolchains: what they do that compiled guests do not.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use crate::{
    client::{Answer, Client},
    sampan::{Sampan, root, wait_for},
};

/// What `scripts/language-guest` ends with where the machine lacks a language.
const LACKING: i32 = 3;

/// The guest of `tests/guests/languages`, built once; `None` where it cannot be, which is said.
fn script(language: &str, source: &str) -> Option<PathBuf> {
    let component = root().join(format!("target/languages/script-{language}.wasm"));
    let source = root().join("tests/guests/languages").join(source);
    let modified = |path: &PathBuf| path.metadata().and_then(|file| file.modified()).ok();
    if modified(&component) < modified(&source) {
        let mut build = Command::new(root().join("scripts/language-guest"));
        let built = build.arg(language).arg(source).arg(&component).status().expect("python3");
        if built.code() == Some(LACKING) {
            eprintln!("left out: no guest of {language} can be built here");
            return None;
        }
        assert!(built.success(), "{built}");
    }
    Some(component)
}

/// Deploys it under the name `script`, with the defaults but for these annotations.
fn deploy(sampan: &Sampan, component: &Path, of_the_deployment: &str, of_its_pods: &str) {
    sampan.cli_ok(&["build", component.to_str().expect("UTF-8"), "-t", "script:test"]);
    let manifest = sampan.data_dir.join("script.yaml");
    let text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: script, annotations: {{ {of_the_deployment} }} }}\nspec:\n  \
         selector: {{ matchLabels: {{ app: script }} }}\n  template:\n    metadata:\n      labels: {{ app: script }}\n      \
         annotations: {{ {of_its_pods} }}\n    spec:\n      containers:\n        - name: script\n          image: script:test\n\
         ---\napiVersion: v1\nkind: Service\nmetadata: {{ name: script }}\nspec:\n  selector: {{ app: script }}\n  \
         ports: [{{ port: 80 }}]\n"
    );
    std::fs::write(&manifest, text).expect("a manifest");
    sampan.cli_ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    sampan.cli_ok(&["rollout", "status", "deployment/script"]);
}

fn get(sampan: &Sampan, path: &str) -> Answer {
    Client::new(&sampan.http, Some("script.default.localhost")).get(path)
}

fn wait_for_line(sampan: &Sampan, line: &str) {
    wait_for(&format!("the line is in the log: {line}"), || {
        let log = sampan.kubectl_ok(&["logs", "deployment/script"]);
        log.lines().any(|found| found == line).then_some(())
    });
}

/// Does this with `sampan up`, and with a gateway whose workers are processes of their own.
fn in_both_shapes(check: impl Fn(&Sampan)) {
    for workers in [0, 2] {
        let folder = tempfile::tempdir().expect("a folder");
        check(&match workers {
            0 => Sampan::up(folder.path()),
            workers => Sampan::server(folder.path(), workers),
        });
    }
}

/// 200 requests at once, with the default memory and concurrency: those for which there is no room wait, and replicas are added.
fn takes_a_burst(sampan: &Sampan) {
    let statuses: Vec<_> = thread::scope(|scope| {
        let asked: Vec<_> = (0..200).map(|_| scope.spawn(|| get(sampan, "/slow").status)).collect();
        asked.into_iter().map(|asked| asked.join().expect("an answer")).collect()
    });
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let events = sampan.kubectl_ok(&["get", "events"]);
    assert!(events.contains("SuccessfulRescale"), "{events}");
}

#[test]
fn a_guest_of_javascript_works_after_its_answer_and_answers_after_one_that_threw() {
    let Some(component) = script("javascript", "script.js") else { return };
    in_both_shapes(|sampan| {
        deploy(sampan, &component, "sampan.dev/scale: 1..10", "sampan.dev/isolation: replica");
        assert_eq!(get(sampan, "/after").body, "answered\n");
        wait_for_line(sampan, "worked after the answer");
        assert!(get(sampan, "/throw").status >= 500);
        for _ in 0..3 {
            assert_eq!(get(sampan, "/").body, "Hello from JavaScript!\n");
        }
        assert_eq!(get(sampan, "/lines").status, 200);
        wait_for_line(sampan, "one two ä⛵");
        wait_for_line(sampan, "to the other");
        wait_for("the Deployment is warned that instances are not reused", || {
            sampan.kubectl_ok(&["get", "events"]).contains("IsolationNotHonoured").then_some(())
        });
        takes_a_burst(sampan);
    });
}

#[test]
fn a_guest_of_python_is_reused_works_after_its_answer_and_answers_after_one_that_threw() {
    let Some(component) = script("python", "script.py") else { return };
    in_both_shapes(|sampan| {
        deploy(sampan, &component, "sampan.dev/scale: 1..10", "sampan.dev/isolation: replica");
        assert_eq!(get(sampan, "/after").body, "Hello from Python!\n");
        wait_for_line(sampan, "worked after the answer");
        assert!(get(sampan, "/throw").status >= 500);
        for _ in 0..3 {
            assert_eq!(get(sampan, "/").body, "Hello from Python!\n");
        }
        assert_eq!(get(sampan, "/lines").status, 200);
        wait_for_line(sampan, "one two ä⛵");
        takes_a_burst(sampan);
        deploy(sampan, &component, "sampan.dev/scale: 1..10", "");
        assert_eq!(get(sampan, "/lines").status, 200);
        wait_for_line(sampan, "through print");
        wait_for_line(sampan, "the last without an end");
        takes_a_burst(sampan);
    });
}
