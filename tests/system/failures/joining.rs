use std::{fs, thread, time::Duration};

use super::{Cluster, HOST, control_plane::deploy, start_worker, worker_command};
use crate::{
    client::Client,
    sampan::{Role, wait_for},
};

#[test]
fn who_shows_a_wrong_a_used_up_or_a_revoked_token_is_told_so_and_gets_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start(folder.path(), 1, &[]);
    let refused = |why: &str| {
        let mut worker = Role::start(worker_command(folder.path(), &cluster.sessions, "stranger"));
        assert!(!worker.ended().success());
        worker.wait_for_output(why);
        let given = fs::read_dir(folder.path().join("stranger/identity")).map_or(0, Iterator::count);
        assert_eq!(given, 0, "it has no certificate");
    };
    refused("used up");
    let token = cluster.cli(&["token", "create"]);
    fs::write(folder.path().join("token"), &token).expect("a token file");
    let id = token.split('.').nth(1).expect("a token").to_owned();
    assert!(cluster.cli(&["token", "list"]).contains(&id));
    cluster.cli(&["token", "revoke", &id]);
    refused("wrong or was revoked");
    fs::write(folder.path().join("token"), token.replace(&id, "00000000")).expect("a token file");
    refused("wrong or was revoked");
    fs::write(folder.path().join("token"), "nonsense").expect("a token file");
    refused("holds no join token");
    let other = token.trim().rsplit_once('.').expect("a token").0.to_owned() + "." + &"ab".repeat(32);
    fs::write(folder.path().join("token"), other).expect("a token file");
    let stranger = Role::start(worker_command(folder.path(), &cluster.sessions, "stranger"));
    stranger.wait_for_output("UnknownIssuer");
    assert!(!cluster.cli(&["get", "nodes"]).contains("stranger"));
}

#[test]
fn certificates_are_renewed_before_they_end_and_a_worker_comes_back_without_a_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = Cluster::start(folder.path(), 1, &["--certificate-lifetime", "12s"]);
    deploy(&cluster, 1);
    let kept = || fs::read_to_string(folder.path().join("w1/identity/worker-w1.pem")).expect("it is kept");
    let first = kept();
    wait_for("the certificate is renewed", || (kept() != first).then_some(()));
    // Longer than the first one held.
    thread::sleep(Duration::from_secs(13));
    let client = Client::new(&cluster.http, Some(HOST));
    assert_eq!(client.get("/env").status, 200);
    cluster.workers.remove(0).kill();
    cluster.workers.push(start_worker(folder.path(), &cluster.sessions, "w1"));
    wait_for("it serves again", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
}
