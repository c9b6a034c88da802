//! `sampan dev`: what an edit does.

mod bare;
mod commands;
mod requests;
mod shown;
mod workspace;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    client::{Client, Load},
    sampan::{Sampan, root, wait_for},
};

const HOST: &str = "hello.default.localhost";

/// A copy of the samples, of which a test may edit hello. Nothing else of the repository is beside it.
fn editable_sample(folder: &Path) -> std::path::PathBuf {
    let samples = folder.join("samples");
    copy(&root().join("samples"), &samples);
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

/// The variable PATH with a folder before all others in which `cargo` is this script; `$CARGO` in it is the real one.
fn with_cargo(folder: &Path, script: &str) -> (&'static str, String) {
    let path = std::env::var("PATH").expect("a PATH in UTF-8");
    let cargo = std::env::split_paths(&path).map(|folder| folder.join("cargo")).find(|file| file.is_file());
    let cargo = cargo.expect("cargo is on PATH").display().to_string();
    fs::create_dir_all(folder).expect("a folder");
    let file = folder.join("cargo");
    fs::write(&file, format!("#!/bin/sh\nCARGO='{cargo}'\n{script}\n")).expect("a write");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("permissions");
    ("PATH", format!("{}:{path}", folder.display()))
}

pub(crate) fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("a text");
    assert!(text.contains(from), "{} holds no `{from}`", file.display());
    // At once, as editors save: a file that is seen empty for a while is a change of its own.
    let new = file.with_file_name(".edited");
    fs::write(&new, text.replace(from, to)).expect("a write");
    fs::rename(&new, file).expect("a move");
}

#[test]
fn an_edit_of_a_guest_is_rolled_out_while_requests_go_on_and_an_error_keeps_the_old_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let sample = editable_sample(folder.path());
    // As users start it.
    let arguments = ["dev", sample.to_str().expect("a path in UTF-8")];
    let sampan = Sampan::start_with(&folder.path().join("data"), &arguments, &[]);
    let client = Client::new(&sampan.http, Some(HOST));
    let says = |text: &str| {
        wait_for(text, || client.try_get("/").ok().filter(|answer| answer.status == 200 && answer.body.contains(text)));
    };
    says("Hello from Sampan!");
    let load = Load::start(&sampan.http, Some(HOST), "/", 4);
    let source = sample.join("src/lib.rs");

    edit(&source, "Hello from Sampan!", "Good morning from Sampan!");
    says("Good morning from Sampan!");
    sampan.wait_for_output(", served in ");
    let told = sampan.output();
    assert!(told.contains(" s (build ") && told.contains(" s, ours "), "{told}");

    edit(&source, "async fn main", "async fn main(((");
    sampan.wait_for_output("error");
    says("Good morning from Sampan!");
    edit(&source, "async fn main(((", "async fn main");
    sampan.wait_for_output("the error is mended");

    edit(&source, "Good morning", "Good evening");
    says("Good evening from Sampan!");

    let manifest = sample.join("deploy/hello.yaml");
    edit(&manifest, "replicas: 1", "replicas: 3");
    wait_for("three replicas", || sampan.kubectl_ok(&["get", "deployment", "hello"]).contains("3/3").then_some(()));

    let (answered, failed) = load.stop();
    assert!(failed.is_empty(), "{} of {answered} failed: {:?}", failed.len(), failed.first());
}
