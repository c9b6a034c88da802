//! Who has no certificate at the port where sessions are taken.

use std::{fs, net::IpAddr};

use crate::{
    failures::Cluster,
    sampan::{Role, wait_for},
};
use transport::{ControlPlaneClient, ControlPlaneWay, JoinError, Peer, Role as PeerRole, join};

/// What a process has held at most, in KiB.
pub(super) fn most_held(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("what it held");
    line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number")
}

fn client(cluster: &Cluster) -> ControlPlaneClient {
    let token = cluster.cli(&["token", "create"]);
    let authority = token.trim().rsplit('.').next().expect("a token").parse().expect("a fingerprint");
    ControlPlaneClient::new(ControlPlaneWay::Join { address: cluster.sessions.clone(), authority })
}

fn peer(name: &str) -> Peer {
    Peer { role: PeerRole::Worker, name: name.to_owned() }
}

fn server(cluster: &Cluster) -> &Role {
    cluster.server.as_ref().expect("it runs")
}

#[test]
fn strangers_with_large_messages_bring_no_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start(folder.path(), 1, &[]);
    let client = client(&cluster);
    let before = most_held(server(&cluster).id());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let large = "x".repeat(60 << 20);
    let failed = runtime.block_on(async {
        let asked = (0..12).map(|number| {
            let (client, large) = (client.clone(), large.clone());
            tokio::spawn(async move { join(&client, &large, &peer(&format!("s{number}")), None).await.is_err() })
        });
        futures::future::join_all(asked.collect::<Vec<_>>()).await
    });
    assert!(failed.into_iter().all(|failed| failed.expect("it ran")));
    let grown = most_held(server(&cluster).id()).saturating_sub(before) / 1024;
    assert!(grown < 64, "it grew by {grown} MiB");
    wait_for("the worker is there as before", || cluster.cli(&["get", "nodes"]).contains(" Ready ").then_some(()));
}

#[test]
fn failed_tokens_are_few_lines_and_after_a_few_are_not_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start(folder.path(), 0, &[]);
    let client = client(&cluster);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answers: Vec<String> = runtime.block_on(async {
        let mut answers = Vec::new();
        for number in 0..30 {
            match join(&client, &format!("sampan1.{number:08}.{}.x", "0".repeat(32)), &peer("s"), None).await {
                Err(JoinError::Refused { why, .. }) => answers.push(why),
                Err(other) => panic!("{other}"),
                Ok(_) => panic!("it was let in"),
            }
        }
        answers
    });
    assert!(answers[0].contains("wrong or was revoked"), "{answers:?}");
    assert_eq!(answers.iter().filter(|why| why.contains("wait a minute")).count(), 20, "{answers:?}");
    let from = IpAddr::from([127, 0, 0, 1]).to_string();
    let told =
        server(&cluster).output().lines().filter(|line| line.contains("refused") && line.contains(&from)).count();
    assert_eq!(told, 1, "{}", server(&cluster).output());
}
