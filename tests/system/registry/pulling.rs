//! Images go to a registry and come from it, with `skopeo` as another's client.

use std::process::Command;

use super::{Peer, deploy, push};
use crate::{
    client::Client,
    sampan::{Sampan, succeed, wait_for},
};

#[test]
fn an_image_that_was_pushed_is_pulled_where_it_is_deployed_and_shown_by_its_digest() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let registry = Peer::start(theirs.path());
    let image = format!("{}/shop/hello:v1", registry.address);
    let pushed = push(theirs.path(), &image);
    let copied = format!("docker://{}/copied:v2", registry.address);
    let copy = ["copy", "--src-tls-verify=false", "--dest-tls-verify=false", &format!("docker://{image}"), &copied];
    succeed("skopeo copy", Command::new("skopeo").args(copy).output().expect("skopeo: run `scripts/setup test`"));

    let sampan = Sampan::up(ours.path());
    deploy(&sampan, &format!("{}/copied:v2", registry.address));
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
    assert_eq!(Client::new(&sampan.http, Some("hello.default.localhost")).get("/").status, 200);
    let shown = sampan.kubectl_ok(&["get", "pods", "-o", "jsonpath={.items[0].status.containerStatuses[0].imageID}"]);
    let digest = shown.rsplit('@').next().unwrap_or_default();
    assert!(digest.starts_with("sha256:") && pushed.contains(digest), "{shown} is not of {pushed}");
}

#[test]
fn an_image_that_no_registry_has_is_an_image_pull_error_in_the_registrys_own_words() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let registry = Peer::start(theirs.path());
    let sampan = Sampan::up(ours.path());
    deploy(&sampan, &format!("{}/nothing:v1", registry.address));
    wait_for("the registry's words are shown", || {
        sampan.kubectl_ok(&["get", "events"]).contains("MANIFEST_UNKNOWN").then_some(())
    });
    assert!(sampan.kubectl_ok(&["get", "pods"]).contains("ErrImagePull"), "{}", sampan.kubectl_ok(&["get", "pods"]));
}
