//! Users beside the administrator, and what they may do, by the real kubectl.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

use crate::{
    kubectl::with_hello,
    sampan::{Sampan, wait_for},
};

/// What a user's kubectl says, right or wrong.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// kubectl with a user's kubeconfig.
fn kubectl(sampan: &Sampan, kubeconfig: &Path, args: &[&str]) -> Output {
    let kubeconfig = kubeconfig.to_str().expect("UTF-8");
    sampan.kubectl(&[&["--kubeconfig", kubeconfig], args].concat())
}

#[test]
fn a_user_who_may_view_a_namespace_does_that_and_nothing_else_until_they_are_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello(&folder.path().join("data"));
    let file = folder.path().join("ann.kubeconfig");
    let out = file.to_str().expect("UTF-8");
    let made = sampan.cli_ok(&["user", "add", "ann", "--role", "view", "-n", "default", "--out", out]);
    assert!(made.contains("ann has the role view in namespace default"), "{made}");
    let mode = fs::metadata(&file).expect("a kubeconfig").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ann = |args: &[&str]| kubectl(&sampan, &file, args);

    wait_for("her token is known", || ann(&["get", "pods"]).status.success().then_some(()));
    assert!(said(&ann(&["auth", "whoami"])).contains("ann"));
    assert!(ann(&["logs", "deployment/hello", "--tail=1"]).status.success());
    assert!(said(&ann(&["auth", "can-i", "--list"])).contains("deployments.apps"));
    assert_eq!(said(&ann(&["auth", "can-i", "create", "pods"])).trim(), "no");
    for refused in [
        &["create", "configmap", "a"][..],
        &["get", "secrets"],
        &["get", "pods", "-A"],
        &["get", "nodes"],
        &["scale", "deployment/hello", "--replicas=2"],
        &["delete", "deployment", "hello"],
        &["get", "pods", "--as", "sampan:admin", "--as-group", "system:masters"],
    ] {
        let said = said(&ann(refused));
        assert!(said.contains("forbidden: User \"ann\" cannot"), "{refused:?}: {said}");
    }
    // What the administrator asks as her is what she may.
    assert!(sampan.kubectl(&["get", "pods", "--as", "ann"]).status.success());
    assert!(!sampan.kubectl(&["get", "nodes", "--as", "ann"]).status.success());

    let listed = sampan.cli_ok(&["user", "list"]);
    assert!(listed.contains("ann") && listed.contains("view in default"), "{listed}");
    sampan.cli_ok(&["user", "remove", "ann"]);
    wait_for("her token is no longer known", || said(&ann(&["get", "pods"])).contains("logged in").then_some(()));
    assert!(!sampan.cli_ok(&["user", "list"]).contains("ann"));
    assert!(!sampan.cli(&["user", "remove", "ann"]).status.success());
}

#[test]
fn users_of_a_token_file_have_the_rights_that_are_bound_to_them_and_their_groups() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens.csv");
    fs::write(&file, "0123456789abcdef,carl,7,\"team,night\"\n").expect("a token file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    let flags = ["--token-auth-file", file.to_str().expect("UTF-8")];
    let sampan = Sampan::up_with(&folder.path().join("data"), &flags);
    let whole = fs::read_to_string(sampan.kubeconfig()).expect("a kubeconfig");
    let bare = folder.path().join("bare.kubeconfig");
    let lines = whole.lines().map(|line| match line.find("token:") {
        Some(at) => format!("{}token: 0123456789abcdef", &line[..at]),
        None => line.to_owned(),
    });
    fs::write(&bare, lines.collect::<Vec<_>>().join("\n")).expect("a kubeconfig");
    let asked = |args: &[&str]| said(&kubectl(&sampan, &bare, args));
    assert!(asked(&["auth", "whoami"]).contains("carl"), "{}", asked(&["auth", "whoami"]));
    assert!(asked(&["get", "configmaps"]).contains("Forbidden"));
    sampan.kubectl_ok(&["create", "rolebinding", "nights", "--clusterrole=edit", "--group=night"]);
    wait_for("the binding is in force", || asked(&["create", "configmap", "a"]).contains("created").then_some(()));
    assert!(asked(&["get", "configmaps", "-n", "kube-system"]).contains("Forbidden"));
    let more = asked(&["create", "rolebinding", "mine", "--clusterrole=cluster-admin", "--user=carl"]);
    assert!(more.contains("is forbidden: User \"carl\" cannot create resource \"rolebindings\""), "{more}");
}
