//! The command line as people and scripts use it: what it shows, in which form, and how shells complete it.

mod completion;
mod events;
mod man;
mod output;
mod status;
mod terminal;
mod top;

use std::{path::Path, process::Output};

use crate::{kubectl::with_hello, sampan::Sampan};

/// A server with the hello sample ready, and beside it a Deployment whose image nobody has.
fn with_hello_and_broken(data_dir: &Path) -> Sampan {
    let sampan = with_hello(data_dir);
    let manifest = data_dir.join("broken.yaml");
    let broken = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: broken, labels: {app: broken}}\nspec:\n  replicas: 2\n  \
                  selector: {matchLabels: {app: broken}}\n  template:\n    metadata: {labels: {app: broken}}\n    spec:\n      \
                  containers: [{name: c, image: \"127.0.0.1:1/none:v1\"}]\n";
    std::fs::write(&manifest, broken).expect("a file");
    sampan.cli_ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    crate::sampan::wait_for("the pull fails", || {
        sampan.cli_ok(&["get", "pods"]).contains("ErrImagePull").then_some(())
    });
    sampan
}

/// What a command that failed said.
fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "it is refused: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
