//! Names of joined machines are theirs, and certificates end when an administrator says so.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::{
    client::Client,
    failures::{Cluster, Kind, Load, assert_none_failed, worker_command},
    sampan::{Role, Sampan, command, free_address, wait_for},
};

const HOST: &str = "probe.default.localhost";
/// Load beside which certificates change.
const REQUESTS_PER_SECOND: f64 = 100.0;

fn kubectl(folder: &Path, args: &[&str]) -> Output {
    let mut kubectl = Sampan::kubectl_program();
    kubectl.arg("--kubeconfig").arg(folder.join("server/kubeconfig")).arg("--cache-dir").arg(folder.join("cache"));
    kubectl.args(args).output().expect("kubectl starts")
}

/// A worker of another machine: with a data directory of its own.
fn elsewhere(folder: &Path, sessions: &str, name: &str) -> Command {
    let mut worker = command(&["worker", "--join", sessions, "--name", name, "--listen", "127.0.0.1:0"]);
    worker.arg("--token-file").arg(folder.join("token")).arg("--data-dir").arg(folder.join("elsewhere"));
    worker
}

fn new_token(cluster: &Cluster, folder: &Path, flags: &[&str]) -> String {
    let token = cluster.cli(&[&["token", "create"], flags].concat());
    fs::write(folder.join("token"), &token).expect("a token file");
    token.split('.').nth(1).expect("a token").to_owned()
}

/// What a process says that is refused.
fn refused(program: Command, why: &str) {
    let mut role = Role::start(program);
    assert!(!role.ended().success());
    role.wait_for_output(why);
}

fn wait_for_node(cluster: &Cluster, name: &str, state: &str) {
    wait_for(&format!("{name} is {state}"), || {
        let nodes = cluster.cli(&["get", "nodes"]);
        let line = nodes.lines().find(|line| line.split_whitespace().next() == Some(name));
        let is = line.map_or("gone", |line| line.split_whitespace().nth(1).unwrap_or_default()).to_owned();
        (is == state).then_some(())
    });
}

fn certificates(cluster: &Cluster, name: &str) -> Vec<Value> {
    let listed: Value = serde_json::from_str(&cluster.cli(&["certificate", "list", "-o", "json"])).expect("JSON");
    let items = listed["items"].as_array().expect("a list").clone();
    items.into_iter().filter(|item| item["name"] == name).collect()
}

#[test]
fn a_name_is_its_workers_until_an_administrator_frees_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut cluster = Cluster::start(folder, 1, &[]);
    new_token(&cluster, folder, &["--uses", "9"]);
    // While it is alive, and when it is gone.
    refused(elsewhere(folder, &cluster.sessions, "w1"), "kubectl delete node w1");
    cluster.workers.remove(0).kill();
    wait_for("it is known to be gone", || {
        let nodes = cluster.cli(&["get", "nodes"]);
        (!nodes.lines().any(|line| line.starts_with("w1") && line.contains(" Ready "))).then_some(())
    });
    refused(elsewhere(folder, &cluster.sessions, "w1"), "belongs to a worker with another key");
    assert!(!folder.join("elsewhere/identity").exists(), "it was given nothing");
    // With its key it comes back; and when that is lost, after its node was deleted.
    cluster.workers.push(Role::start(worker_command(folder, &cluster.sessions, "w1")));
    wait_for_node(&cluster, "w1", "Ready");
    cluster.workers.remove(0).kill();
    fs::remove_dir_all(folder.join("w1/identity")).expect("its certificate");
    refused(worker_command(folder, &cluster.sessions, "w1"), "kubectl delete node w1");
    let deleted = kubectl(folder, &["delete", "node", "w1", "--timeout=60s"]);
    assert_eq!(String::from_utf8_lossy(&deleted.stdout), "node \"w1\" deleted\n", "{deleted:?}");
    cluster.workers.push(Role::start(elsewhere(folder, &cluster.sessions, "w1")));
    wait_for_node(&cluster, "w1", "Ready");
    // Who used a token is shown until it ends, whichever are made after it.
    let used = new_token(&cluster, folder, &["--role", "gateway"]);
    let other = new_token(&cluster, folder, &[]);
    cluster.workers.push(Role::start(worker_command(folder, &cluster.sessions, "w5")));
    wait_for_node(&cluster, "w5", "Ready");
    new_token(&cluster, folder, &[]);
    let listed = cluster.cli(&["token", "list"]);
    let line = |id: &str| listed.lines().find(|line| line.contains(id)).expect("it is listed").to_owned();
    assert!(line(&other).contains("used up") && line(&other).contains("worker/w5"), "{listed}");
    assert!(line(&used).contains("valid"), "{listed}");
    cluster.cli(&["token", "revoke", &other]);
    // A token with a name is for that alone.
    new_token(&cluster, folder, &["--role", "worker", "--name", "w7"]);
    refused(worker_command(folder, &cluster.sessions, "w8"), "--name w7");
    let listed = cluster.cli(&["token", "list"]);
    assert!(listed.contains("w7"), "{listed}");
}

#[test]
fn a_live_worker_whose_node_is_deleted_is_cut_off_and_joins_again_with_a_token_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut cluster = Cluster::start(folder, 2, &[]);
    crate::failures::deploy_in(&cluster, 2);
    let listed = cluster.cli(&["certificate", "list"]);
    assert!(
        listed.lines().any(|line| line.contains("worker") && line.contains("w1") && line.ends_with("valid")),
        "{listed}"
    );
    assert_eq!(certificates(&cluster, "w1").len(), 1);

    let deleted = kubectl(folder, &["delete", "node", "w1", "--timeout=60s"]);
    assert!(deleted.status.success(), "{deleted:?}");
    wait_for_node(&cluster, "w1", "gone");
    let mut cut = cluster.workers.remove(0);
    assert!(!cut.ended().success(), "it has nothing to do any more");
    cut.wait_for_output("was revoked by an administrator");
    assert!(!cut.output().contains("failed"), "{}", cut.output());
    // As whoever watches over it starts it again, without its token.
    let mut again = command(&["worker", "--join", &cluster.sessions, "--name", "w1", "--listen", "127.0.0.1:0"]);
    again.arg("--data-dir").arg(folder.join("w1"));
    refused(again, "was revoked by an administrator");
    let client = Client::new(&cluster.http, Some(HOST));
    wait_for("the other serves", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
    assert_eq!(certificates(&cluster, "w1")[0]["state"], "revoked");

    // Its token is used up.
    refused(worker_command(folder, &cluster.sessions, "w1"), "used up");
    new_token(&cluster, folder, &[]);
    cluster.workers.push(Role::start(worker_command(folder, &cluster.sessions, "w1")));
    wait_for_node(&cluster, "w1", "Ready");
}

#[test]
fn what_was_stolen_is_of_no_use_once_it_is_revoked_and_a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut cluster = Cluster::start(folder, 1, &[]);
    let identity = folder.join("w1/identity/worker-w1.pem");
    let stolen = fs::read(&identity).expect("it is kept");
    let serial = certificates(&cluster, "w1")[0]["serial"].as_str().expect("a number").to_owned();
    let said = cluster.cli(&["certificate", "revoke", &serial]);
    assert!(said.contains(&serial) && said.contains("worker/w1"), "{said}");
    wait_for("its Node and the server's log say so", || {
        let events = kubectl(folder, &["get", "events", "-A"]);
        let events = String::from_utf8_lossy(&events.stdout).into_owned();
        let logged = cluster.server.as_ref().expect("it runs").output().contains("peer=worker `w1`");
        (events.contains("CertificateRevoked") && events.contains("node/w1") && logged).then_some(())
    });
    assert!(!cluster.workers.remove(0).ended().success());
    assert!(!identity.exists(), "a later run has no use for it");

    let api = cluster.api.clone();
    cluster.server.take().expect("it runs").kill();
    cluster.server = Some(crate::failures::start_server(folder, &api, &cluster.sessions, &[]));
    fs::create_dir_all(folder.join("w1/identity")).expect("a folder");
    fs::write(&identity, &stolen).expect("a file");
    let mut thief = command(&["worker", "--join", &cluster.sessions, "--name", "w1"]);
    thief.arg("--data-dir").arg(folder.join("w1"));
    refused(thief, "was revoked by an administrator");
    let unknown = command(&["certificate", "revoke", "nobody", "--data-dir"]).arg(folder.join("server")).output();
    let unknown = unknown.expect("it starts");
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("sampan certificate list"), "{unknown:?}");
}

#[test]
fn who_joined_with_a_token_goes_with_it_when_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let cluster = Cluster::start(folder, 1, &[]);
    let id = new_token(&cluster, folder, &["--uses", "2"]);
    let mut joined = Role::start(worker_command(folder, &cluster.sessions, "late"));
    wait_for_node(&cluster, "late", "Ready");
    let said = cluster.cli(&["token", "revoke", &id, "--with-certificates"]);
    assert!(said.contains("worker/late"), "{said}");
    assert!(!joined.ended().success());
    wait_for_node(&cluster, "w1", "Ready");
    assert_eq!(certificates(&cluster, "w1")[0]["state"], "valid");
    refused(worker_command(folder, &cluster.sessions, "late"), "wrong or was revoked");
}

#[test]
fn an_authority_is_replaced_under_those_that_run_and_who_comes_with_an_older_token_joins() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut cluster = Cluster::start(folder, 1, &["--certificate-lifetime", "20s"]);
    crate::failures::deploy_in(&cluster, 1);
    new_token(&cluster, folder, &["--uses", "1"]);
    let first = cluster.cli(&["certificate", "authorities"]);
    let rotated = cluster.cli(&["certificate", "rotate"]);
    assert_eq!((first.lines().count(), rotated.lines().count()), (2, 3), "{rotated}");
    assert!(rotated.contains(first.lines().nth(1).and_then(|line| line.split(' ').next()).expect("a fingerprint")));
    // With a token of before.
    cluster.workers.push(Role::start(worker_command(folder, &cluster.sessions, "w2")));
    wait_for_node(&cluster, "w2", "Ready");
    let client = Client::new(&cluster.http, Some(HOST));
    assert_eq!(client.get("/env").status, 200);
    // A restart changes nothing.
    let api = cluster.api.clone();
    cluster.server.take().expect("it runs").kill();
    let flags = ["--certificate-lifetime", "20s"];
    cluster.server = Some(crate::failures::start_server(folder, &api, &cluster.sessions, &flags));
    wait_for_node(&cluster, "w1", "Ready");
    // All have renewed what the former has signed.
    wait_for("the former is dropped", || {
        (cluster.cli(&["certificate", "authorities"]).lines().count() == 2).then_some(())
    });
    assert!(!cluster.cli(&["certificate", "authorities"]).contains("trusted"));
    wait_for_node(&cluster, "w1", "Ready");
    wait_for_node(&cluster, "w2", "Ready");
    assert_eq!(client.get("/env").status, 200);
}

#[test]
fn an_authority_is_replaced_and_a_worker_revoked_under_load_and_no_request_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut cluster = Cluster::start(folder, 2, &[]);
    crate::failures::deploy_in(&cluster, 4);
    let load = Load::start(&cluster.http, HOST, REQUESTS_PER_SECOND, &[Kind::Get, Kind::Put]);
    cluster.cli(&["certificate", "rotate"]);
    for name in ["w1", "w2", "g1"] {
        wait_for(&format!("{name} has a certificate of the new authority"), || {
            (certificates(&cluster, name).len() == 2).then_some(())
        });
    }
    let finished = cluster.cli(&["certificate", "rotate", "--finish"]);
    assert_eq!(finished.lines().count(), 2, "{finished}");
    wait_for_node(&cluster, "w2", "Ready");
    assert_eq!(load.failed(), 0, "the authority was replaced, and nobody was revoked");
    // Of two workers one goes, with what was in flight there.
    cluster.cli(&["certificate", "revoke", "worker/w2"]);
    assert!(!cluster.workers.remove(1).ended().success());
    wait_for("all replicas are elsewhere", || {
        let pods = cluster.cli(&["get", "pods", "-o", "wide"]);
        let ready: Vec<_> = pods.lines().filter(|line| line.contains("1/1")).collect();
        (ready.len() == 4 && ready.iter().all(|line| line.contains(" w1 "))).then_some(())
    });
    assert_none_failed(&load.stop());
}

/// Of a text in PEM, the certificates.
fn certificates_in(pem: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    pem.split(BEGIN).skip(1).map(|rest| format!("{BEGIN}{rest}")).collect()
}

#[test]
fn who_has_a_certificate_of_a_former_authority_alone_is_refused_once_that_is_ended_and_others_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut cluster = Cluster::start(folder, 2, &[]);
    crate::failures::deploy_in(&cluster, 2);
    let identity = folder.join("w1/identity/worker-w1.pem");
    let stolen = fs::read_to_string(&identity).expect("it is kept");
    cluster.workers.remove(1).kill();
    let unused = new_token(&cluster, folder, &[]);
    cluster.cli(&["certificate", "rotate"]);
    for name in ["w1", "g1"] {
        wait_for(&format!("{name} has a certificate of the new authority"), || {
            (certificates(&cluster, name).len() == 2).then_some(())
        });
    }
    let again =
        command(&["certificate", "rotate", "--data-dir"]).arg(folder.join("server")).output().expect("it starts");
    assert!(String::from_utf8_lossy(&again.stderr).contains("--finish"), "{again:?}");
    let finished = cluster.cli(&["certificate", "rotate", "--finish"]);
    assert_eq!(finished.lines().count(), 2, "{finished}");
    // What holds no more is shown as such: of who has not renewed, and of tokens of before.
    let state = |name: &str| -> Vec<String> {
        let mut states: Vec<_> = certificates(&cluster, name).iter().map(|it| it["state"].to_string()).collect();
        states.sort();
        states
    };
    assert_eq!(
        (state("w2"), state("w1")),
        (vec!["\"untrusted\"".into()], vec!["\"untrusted\"".into(), "\"valid\"".into()])
    );
    let listed = cluster.cli(&["token", "list"]);
    let line = listed.lines().find(|line| line.contains(&unused)).expect("it is listed");
    assert!(line.contains("untrusted"), "{listed}");

    // Who has renewed, and users, notice nothing.
    assert!(kubectl(folder, &["get", "nodes"]).status.success(), "kubeconfigs are of another authority");
    let client = Client::new(&cluster.http, Some(HOST));
    wait_for("it serves", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
    wait_for_node(&cluster, "w1", "Ready");

    // Who has heard of the new one, and shows a certificate of the former.
    let renewed = fs::read_to_string(&identity).expect("it is kept");
    let known = certificates_in(&renewed).into_iter().skip(1).collect::<String>();
    fs::create_dir_all(folder.join("thief/identity")).expect("a folder");
    fs::write(folder.join("thief/identity/worker-w1.pem"), format!("{stolen}{known}")).expect("a file");
    let mut thief = command(&["worker", "--join", &cluster.sessions, "--name", "w1", "--listen", "127.0.0.1:0"]);
    thief.arg("--data-dir").arg(folder.join("thief"));
    refused(thief, "is of an authority that was replaced");
    // Who has not heard of it.
    let mut away = command(&["worker", "--join", &cluster.sessions, "--name", "w2", "--listen", "127.0.0.1:0"]);
    away.arg("--data-dir").arg(folder.join("w2"));
    let away = Role::start(away);
    away.wait_for_output("join again with a token");
    away.kill();
    new_token(&cluster, folder, &[]);
    cluster.workers.push(Role::start(worker_command(folder, &cluster.sessions, "w2")));
    wait_for_node(&cluster, "w2", "Ready");
    wait_for_node(&cluster, "w1", "Ready");
}

/// Whether who shows this certificate is heard at an address.
fn is_heard(address: &str, pem: &Path) -> bool {
    let mut curl = Command::new("curl");
    curl.args(["-sk", "--http1.1", "--max-time", "10", "--cert"]).arg(pem).arg(format!("https://{address}/"));
    curl.output().expect("curl").status.success()
}

#[test]
fn a_worker_that_starts_while_the_control_plane_is_away_knows_who_was_revoked() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut cluster = Cluster::start(folder, 0, &[]);
    new_token(&cluster, folder, &[]);
    let listen = free_address();
    let worker = || {
        let mut worker = command(&["worker", "--join", &cluster.sessions, "--name", "w1", "--listen", &listen]);
        worker.arg("--token-file").arg(folder.join("token")).arg("--data-dir").arg(folder.join("w1"));
        worker
    };
    let first = Role::start(worker());
    wait_for_node(&cluster, "w1", "Ready");
    let stolen = folder.join("stolen.pem");
    fs::copy(folder.join("g1/identity/gateway-g1.pem"), &stolen).expect("it is kept");
    assert!(is_heard(&listen, &stolen));
    cluster.cli(&["certificate", "revoke", "gateway/g1"]);
    let beside = folder.join("w1/identity/worker-w1.revoked");
    let kept = wait_for("it is kept what is revoked", || {
        fs::read_to_string(&beside).ok().filter(|text| text.contains("serial ") && text.contains("key "))
    });
    assert!(!kept.is_empty() && fs::metadata(&beside).expect("a file").permissions().mode() & 0o777 == 0o600);
    assert!(!is_heard(&listen, &stolen));
    first.kill();
    let second = worker();
    cluster.server.take().expect("it runs").kill();
    let second = Role::start(second);
    wait_for("it listens", || TcpStream::connect(&listen).ok());
    assert!(!is_heard(&listen, &stolen));
    second.kill();
    fs::write(&beside, "nonsense").expect("a file");
    let mut third = command(&["worker", "--join", &cluster.sessions, "--name", "w1", "--listen", &listen]);
    third.arg("--data-dir").arg(folder.join("w1"));
    refused(third, "worker-w1.revoked is damaged");
}

#[test]
fn the_control_planes_own_certificate_is_listed_and_replaced_when_it_is_revoked() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let cluster = Cluster::start(folder, 1, &[]);
    let own = certificates(&cluster, "main");
    assert_eq!(
        (own.len(), own[0]["role"].as_str(), own[0]["state"].as_str()),
        (1, Some("control-plane"), Some("valid"))
    );
    cluster.cli(&["certificate", "revoke", "control-plane/main"]);
    wait_for("it has another, with another key", || {
        let listed = certificates(&cluster, "main");
        let valid: Vec<_> = listed.iter().filter(|it| it["state"] == "valid").collect();
        (listed.len() == 2 && valid.len() == 1 && valid[0]["keySha256"] != own[0]["keySha256"]).then_some(())
    });
    new_token(&cluster, folder, &[]);
    let _late = Role::start(worker_command(folder, &cluster.sessions, "late"));
    wait_for_node(&cluster, "late", "Ready");
    wait_for_node(&cluster, "w1", "Ready");
}
