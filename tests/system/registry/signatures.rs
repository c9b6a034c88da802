//! Namespaces that run only what is signed.

use std::{fs, path::Path, process::Command};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{Peer, deploy_as, push};
use crate::{
    client::Client,
    sampan::{Sampan, command, guest, succeed, wait_for},
};

/// A private key, and its public part beside it.
fn key(folder: &Path, name: &str) -> (String, String) {
    let (private, public) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.pub")));
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let openssl = |args: &[&str]| succeed("openssl", Command::new("openssl").args(args).output().expect("openssl"));
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &path(&private)]);
    openssl(&["pkey", "-in", &path(&private), "-pubout", "-out", &path(&public)]);
    (path(&private), path(&public))
}

fn sampan(folder: &Path, args: &[&str]) -> std::process::Output {
    command(args).arg("--data-dir").arg(folder).output().expect("the sampan program starts")
}

fn namespace(sampan: &Sampan, name: &str, key: &str) {
    let annotations = json!({ "sampan.dev/signed-by": fs::read_to_string(key).expect("a key") });
    let object =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "annotations": annotations } });
    let file = sampan.data_dir.join("namespace.json");
    fs::write(&file, object.to_string()).expect("a file");
    sampan.cli_ok(&["apply", "-f", file.to_str().expect("UTF-8")]);
}

#[test]
fn a_namespace_with_a_key_runs_what_is_signed_by_it_and_nothing_else() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let registry = Peer::start(theirs.path());
    let image = format!("{}/shop/hello:v1", registry.address);
    push(theirs.path(), &image);
    let (right, wrong) = (key(theirs.path(), "right"), key(theirs.path(), "wrong"));
    let server = Sampan::up(ours.path());
    namespace(&server, "strict", &right.1);
    deploy_as(&server, &image, "strict", "");
    let events = || server.kubectl_ok(&["get", "events", "-n", "strict"]);
    wait_for("what is not signed is denied", || {
        events().contains("no signature that the policy accepts").then_some(())
    });
    assert!(!sampan(theirs.path(), &["verify", &image, "--key", &right.1]).status.success());

    succeed("sampan sign", sampan(theirs.path(), &["sign", &image, "--key", &wrong.0]));
    wait_for("another key is denied", || events().contains("signed by another key").then_some(()));
    succeed("sampan sign", sampan(theirs.path(), &["sign", &image, "--key", &right.0]));
    for key in [&right.1, &wrong.1] {
        succeed("sampan verify", sampan(theirs.path(), &["verify", &image, "--key", key]));
    }
    server.cli_ok(&["rollout", "status", "deployment/hello", "-n", "strict"]);
    assert_eq!(Client::new(&server.http, Some("hello.strict.localhost")).get("/").status, 200);
}

#[test]
fn a_bundle_that_refers_to_the_image_is_a_signature_too() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let server = Sampan::up(ours.path());
    let (private, public) = key(theirs.path(), "key");
    namespace(&server, "strict", &public);
    fs::copy(server.kubeconfig(), theirs.path().join("kubeconfig")).expect("a file");
    let image = format!("{}/hello:v1", super::own::host(&server));
    let digest = push(theirs.path(), &image).split("sha256:").nth(1).expect("a digest")[..64].to_owned();
    // As `cosign sign --new-bundle-format` makes it: an in-toto statement in a DSSE envelope.
    let statement =
        json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "subject": [ { "digest": { "sha256": digest } } ], "predicate": {} })
        .to_string();
    let signed = format!("DSSEv1 28 application/vnd.in-toto+json {} {statement}", statement.len());
    let (to_sign, signature) = (theirs.path().join("signed"), theirs.path().join("signature"));
    fs::write(&to_sign, signed).expect("a file");
    let openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign", &private, "-out"])
        .args([&signature, &to_sign])
        .output();
    succeed("openssl dgst", openssl.expect("openssl"));
    let bundle = json!({ "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "dsseEnvelope": { "payload": BASE64_STANDARD.encode(&statement), "payloadType": "application/vnd.in-toto+json",
            "signatures": [ { "sig": BASE64_STANDARD.encode(fs::read(&signature).expect("a signature")) } ] } });
    super::own::put_referrer(&server, "hello", &digest, &bundle);
    let verified = succeed("sampan verify", sampan(theirs.path(), &["verify", &image, "--key", &public]));
    assert!(verified.contains("bundle"), "{verified}");
    for name in [&image, "hello:v1"] {
        deploy_as(&server, name, "strict", "");
        server.cli_ok(&["rollout", "status", "deployment/hello", "-n", "strict"]);
    }
}

#[test]
fn pruning_leaves_the_signature_of_an_image_in_use_and_the_next_rollout_goes_on() {
    let start: [fn(&Path) -> Sampan; 2] = [Sampan::up, |folder| Sampan::server(folder, 1)];
    for start in start {
        let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let server = start(ours.path());
        let (private, public) = key(theirs.path(), "key");
        namespace(&server, "strict", &public);
        fs::copy(server.kubeconfig(), theirs.path().join("kubeconfig")).expect("a file");
        let [used, unused, late] =
            ["hello:v1", "other:v1", "late:v1"].map(|name| format!("{}/{name}", super::own::host(&server)));
        for (image, name) in [(&used, "hello"), (&unused, "products"), (&late, "probe")] {
            let component = guest(name);
            succeed("sampan push", sampan(theirs.path(), &["push", component.to_str().expect("UTF-8"), image]));
        }
        for image in [&used, &unused] {
            succeed("sampan sign", sampan(theirs.path(), &["sign", image, "--key", &private]));
        }
        deploy_as(&server, "hello:v1", "strict", "");
        server.cli_ok(&["rollout", "status", "deployment/hello", "-n", "strict"]);
        // By the address of the registry, and not resolved, since it is not signed yet.
        namespace(&server, "waiting", &public);
        deploy_as(&server, &late, "waiting", "");
        let events = || server.kubectl_ok(&["get", "events", "-n", "waiting"]);
        wait_for("it is denied", || events().contains("no signature that the policy accepts").then_some(()));
        let listed = server.cli_ok(&["images"]);
        assert!(listed.contains("hello:v1") && !listed.contains(".sig"), "{listed}");
        let told = server.cli_ok(&["images", "prune", "--all", "--dry-run"]);
        assert!(told.contains("other:v1  kept: written or used within 1h"), "{told}");
        let pruned = server.cli_ok(&["images", "prune", "--all", "--grace", "0s"]);
        assert!(pruned.contains("other:v1"), "{pruned}");
        assert!(!pruned.contains("hello") && !pruned.contains("late"), "{pruned}");
        succeed("sampan sign", sampan(theirs.path(), &["sign", &late, "--key", &private]));
        server.cli_ok(&["rollout", "status", "deployment/hello", "-n", "waiting"]);
        server.kubectl_ok(&["rollout", "restart", "deployment/hello", "-n", "strict"]);
        server.cli_ok(&["rollout", "status", "deployment/hello", "-n", "strict"]);
        succeed("sampan verify", sampan(theirs.path(), &["verify", &used, "--key", &public]));
        assert!(!sampan(theirs.path(), &["verify", &unused, "--key", &public]).status.success());
        // Signatures are no images that a start or a list complains of.
        assert!(server.stop().0.success());
        let again = start(ours.path());
        assert!(again.cli_ok(&["images"]).contains("hello:v1"));
        assert!(!again.output().contains("left out"), "{}", again.output());
    }
}

#[test]
fn a_policy_that_cannot_be_read_is_refused_where_it_is_written() {
    let ours = tempfile::tempdir().expect("a folder");
    let server = Sampan::up(ours.path());
    let annotated = server.kubectl(&["annotate", "namespace", "default", "sampan.dev/signed-by=no key"]);
    let said = String::from_utf8_lossy(&annotated.stderr).into_owned();
    assert!(!annotated.status.success() && said.contains("metadata.annotations[sampan.dev/signed-by]"), "{said}");
}
