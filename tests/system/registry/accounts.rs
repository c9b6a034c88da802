//! Registries that want to know who asks.

use std::{
    io::Write,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::json;

use super::{Peer, certificate, deploy_as, push, settings};
use crate::sampan::{Sampan, command, guest, succeed, wait_for};

fn log_in(docker: &Path, registries: &str, host: &str, password: &str) -> Output {
    let mut login = command(&["login", host, "-u", "cook", "--password-stdin", "--registries", registries]);
    let login = login.env("DOCKER_CONFIG", docker).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = login.spawn().expect("the sampan program starts");
    child.stdin.take().expect("piped").write_all(password.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn pods(sampan: &Sampan, namespace: &str) -> String {
    sampan.kubectl_ok(&["get", "pods", "-n", namespace])
}

#[test]
fn a_private_registry_is_used_after_a_login_and_through_the_secrets_of_one_namespace_alone() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let registry = Peer::start_private(theirs.path());
    let (host, docker) = (registry.address.clone(), theirs.path().join("docker"));
    let image = format!("{host}/shop/hello:v1");
    let component = guest("hello");
    let push = |registries: Option<&str>| {
        let mut push = command(&["push", component.to_str().expect("UTF-8"), &image]);
        push.args(registries.map(|file| ["--registries", file]).into_iter().flatten());
        push.arg("--data-dir").arg(theirs.path()).env("DOCKER_CONFIG", &docker).output().expect("it starts")
    };
    let says = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let untrusted = says(&push(None));
    assert!(untrusted.contains("certificate") && untrusted.contains("registries"), "{untrusted}");
    let file = settings(theirs.path(), &format!("[registry.\"{host}\"]\nca = \"ca.pem\"\n"));
    let unknown = says(&push(Some(&file)));
    assert!(unknown.contains(&format!("sampan login {host}")), "{unknown}");
    let refused = log_in(&docker, &file, &host, "wrong");
    assert!(!refused.status.success() && says(&refused).contains("401"), "{}", says(&refused));
    assert!(!docker.exists(), "what the registry refuses is not kept");
    succeed("sampan login", log_in(&docker, &file, &host, "s3cret"));
    succeed("sampan push", push(Some(&file)));

    let sampan = Sampan::up_with(ours.path(), &["--registries", &file]);
    let server = format!("--docker-server={host}");
    let account = ["--docker-username=cook", "--docker-password=s3cret"];
    let secret = ["create", "secret", "docker-registry", "kitchen", &server, account[0], account[1]];
    sampan.kubectl_ok(&secret);
    let with_secret = "      imagePullSecrets: [{ name: kitchen }]\n";
    deploy_as(&sampan, &image, "default", with_secret);
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);

    // The image is in the store now: another namespace does not have it for that.
    std::fs::write(ours.path().join("ns.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: { name: other }\n")
        .expect("a file");
    sampan.cli_ok(&["apply", "-f", ours.path().join("ns.yaml").to_str().expect("UTF-8")]);
    deploy_as(&sampan, &image, "other", with_secret);
    wait_for("the other namespace waits", || pods(&sampan, "other").contains("ImagePullBackOff").then_some(()));
    let events = sampan.kubectl_ok(&["get", "events", "-n", "other"]);
    assert!(events.contains("\"kitchen\" of imagePullSecrets not found"), "{events}");
    assert!(events.contains("401"), "the registry's own words: {events}");
}

#[test]
fn a_pull_secret_whose_keys_are_patterns_is_used_and_all_that_fit_are_tried() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let registry = Peer::start_private(theirs.path());
    let (host, docker) = (registry.address.clone(), theirs.path().join("docker"));
    let (image, port) = (format!("{host}/shop/hello:v1"), host.rsplit(':').next().expect("a port"));
    let file = settings(theirs.path(), &format!("[registry.\"{host}\"]\nca = \"ca.pem\"\n"));
    succeed("sampan login", log_in(&docker, &file, &host, "s3cret"));
    let mut push = command(&["push", guest("hello").to_str().expect("UTF-8"), &image, "--registries", &file]);
    succeed(
        "sampan push",
        push.arg("--data-dir").arg(theirs.path()).env("DOCKER_CONFIG", &docker).output().expect("starts"),
    );

    let sampan = Sampan::up_with(ours.path(), &["--registries", &file]);
    let entry = |password: &str| json!({ "username": "cook", "password": password });
    let auths = json!({
        format!("https://127.0.0.*:{port}"): entry("s3cret"),
        format!("{host}/shop"): entry("of last year"),
        "127.0.0.*:1": entry("of another port"),
    });
    let config = theirs.path().join("config.json");
    std::fs::write(&config, json!({ "auths": auths }).to_string()).expect("a file");
    let from = format!("--from-file=.dockerconfigjson={}", config.display());
    sampan.kubectl_ok(&["create", "secret", "generic", "many", "--type=kubernetes.io/dockerconfigjson", &from]);
    deploy_as(&sampan, &image, "default", "      imagePullSecrets: [{ name: many }]\n");
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_itself_if_it_has_nothing() {
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let (registry, mirror) = (Peer::start(folders[0].path()), Peer::start(folders[1].path()));
    push(folders[0].path(), &format!("{}/only-there:v1", registry.address));
    push(folders[1].path(), &format!("{}/mirrored:v1", mirror.address));
    let text = format!("[registry.\"{}\"]\nmirrors = [\"{}\"]\n", registry.address, mirror.address);
    let sampan = Sampan::up_with(folders[2].path(), &["--registries", &settings(folders[2].path(), &text)]);
    for name in ["mirrored", "only-there"] {
        deploy_as(&sampan, &format!("{}/{name}:v1", registry.address), "default", "");
        sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
    }
}

#[test]
fn settings_that_cannot_be_used_are_named_with_their_file() {
    let folder = tempfile::tempdir().expect("a folder");
    for (text, says) in [
        ("[registry.\"a.example\"]\nca = \"none.pem\"\n", "none.pem"),
        ("[registry.\"a.example\"]\nmirror = \"b\"\n", "mirror"),
        ("[registry.\"a.example\"]\nca = \"ca.pem\"\nplain-http = true\n", "plain-http"),
        ("nonsense", "registries.toml"),
    ] {
        certificate(folder.path());
        let file = settings(folder.path(), text);
        let refused =
            command(&["push", "a.example/x:v1", "--registries", &file, "--data-dir"]).arg(folder.path()).output();
        let stderr = String::from_utf8_lossy(&refused.expect("it starts").stderr).into_owned();
        assert!(stderr.contains(says) && stderr.contains("registries.toml"), "{text}: {stderr}");
    }
}
