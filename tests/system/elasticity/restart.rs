use std::{thread, time::Duration};

use super::{HOST, Scaled};
use crate::{
    client::Client,
    failures::{Cluster, Kind, Load, start_server},
    sampan::{guest, wait_for},
};

#[test]
fn in_the_middle_of_a_step_the_control_plane_ends_and_comes_back_and_no_request_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = Cluster::start(folder.path(), 2, &[]);
    cluster.cli(&["build", guest("probe").to_str().expect("UTF-8"), "-t", "probe:test"]);
    let manifest = folder.path().join("scaled.yaml");
    std::fs::write(&manifest, Scaled { idle: "2s", ..Scaled::default() }.manifest()).expect("a manifest");
    cluster.cli(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    let client = Client::new(&cluster.http, Some(HOST));
    wait_for("the gateway knows", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
    let low = Load::start(&cluster.http, HOST, 20.0, &[Kind::Sleep]);
    wait_for("it runs", || (ready(&cluster) >= 1).then_some(()));
    let high = Load::start(&cluster.http, HOST, 80.0, &[Kind::Sleep]);
    cluster.server.take().expect("it runs").kill();
    thread::sleep(Duration::from_secs(5));
    cluster.server = Some(start_server(folder.path(), &cluster.api, &cluster.sessions, &[]));
    wait_for("it follows the traffic again", || (ready(&cluster) >= 2).then_some(()));
    for outcome in [high.stop(), low.stop()] {
        assert!(outcome.failed.is_empty(), "{} of {}: {:?}", outcome.failed.len(), outcome.sent, outcome.failed[0]);
    }
    wait_for("it goes to zero", || (ready(&cluster) == 0).then_some(()));
    // Without a control plane, what stands by is started all the same.
    wait_for("a place is kept", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
    wait_for("it is at zero again", || (ready(&cluster) == 0).then_some(()));
    thread::sleep(Duration::from_secs(2));
    cluster.server.take().expect("it runs").kill();
    assert_eq!(client.get("/env").status, 200);
}

fn ready(cluster: &Cluster) -> usize {
    let pods = cluster.cli(&["get", "pods"]);
    pods.lines().filter(|line| line.starts_with("probe-") && line.contains("1/1")).count()
}
