//! `sampan dev`: what an edit does.

use std::{fs, path::Path};

use crate::{
    client::{Client, Load},
    sampan::{Sampan, root, wait_for},
};

const HOST: &str = "hello.default.localhost";

/// A copy of the hello sample, with what it needs around it, that a test may edit.
fn editable_sample(folder: &Path) -> std::path::PathBuf {
    let samples = folder.join("samples");
    copy(&root().join("samples"), &samples);
    copy(&root().join("wit"), &folder.join("wit"));
    copy(&root().join("tests/guests"), &folder.join("tests/guests"));
    samples.join("hello")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").filter_map(Result::ok) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match source.is_dir() {
            true if entry.file_name() == "target" => {}
            true => copy(&source, &target),
            false => drop(fs::copy(&source, &target).expect("a copy")),
        }
    }
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("a text");
    assert!(text.contains(from), "{} holds no `{from}`", file.display());
    fs::write(file, text.replace(from, to)).expect("a write");
}

#[test]
fn an_edit_of_a_guest_is_rolled_out_while_requests_go_on_and_an_error_keeps_the_old_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let sample = editable_sample(folder.path());
    let sampan = Sampan::dev(&folder.path().join("data"), &sample);
    let client = Client::new(&sampan.http, Some(HOST));
    let says = |text: &str| {
        wait_for(text, || client.try_get("/").ok().filter(|answer| answer.status == 200 && answer.body.contains(text)));
    };
    says("Hello from Sampan!");
    let load = Load::start(&sampan.http, Some(HOST), "/", 4);
    let source = sample.join("src/lib.rs");

    edit(&source, "Hello from Sampan!", "Good morning from Sampan!");
    says("Good morning from Sampan!");

    edit(&source, "async fn main", "async fn main(((");
    sampan.wait_for_output("error");
    says("Good morning from Sampan!");
    edit(&source, "async fn main(((", "async fn main");

    edit(&source, "Good morning", "Good evening");
    says("Good evening from Sampan!");

    let manifest = sample.join("deploy/hello.yaml");
    edit(&manifest, "replicas: 1", "replicas: 3");
    wait_for("three replicas", || sampan.kubectl_ok(&["get", "deployment", "hello"]).contains("3/3").then_some(()));

    let (answered, failed) = load.stop();
    assert!(failed.is_empty(), "{} of {answered} failed: {:?}", failed.len(), failed.first());
}
