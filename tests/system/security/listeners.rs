//! Clients that take all connections, descriptors or memory that they can get.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use crate::{
    client::Client,
    kubectl::deploy_probe,
    sampan::{PATIENCE, Sampan, free_address, wait_for},
};

const HOST: &str = "probe.default.localhost";

fn metrics(address: &str) -> String {
    Client::new(address, None).get("/metrics").body
}

/// Whether a metric has this value.
fn is(text: &str, line: &str) -> bool {
    text.lines().any(|shown| shown == line)
}

/// The status of an answer over a connection of its own; `None` if there is none.
fn status(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut answer = String::new();
    // What was turned away may be reset once it has been told, or while this is sent.
    let _ = stream.write_all(format!("GET /env HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n").as_bytes());
    let _ = stream.read_to_string(&mut answer);
    answer.split_whitespace().nth(1).map(str::to_owned)
}

#[test]
fn descriptors_are_raised_to_the_hard_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    let limits = fs::read_to_string(format!("/proc/{}/limits", sampan.id())).expect("limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("that of files");
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
}

#[test]
fn connections_leave_descriptors_for_the_control_plane_and_that_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let offered = free_address();
    let sampan = Sampan::up_with(folder.path(), &["--metrics", &offered]);
    deploy_probe(&sampan);
    // As if it had been started with so few: 300, of which 37 are kept.
    drop(sampan);
    let sampan = Sampan::limited(folder.path(), 300, &["--metrics", &offered]);
    let client = Client::new(&sampan.http, Some(HOST));
    wait_for("the guest runs again", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
    let held: Vec<TcpStream> = (0..400).filter_map(|_| TcpStream::connect(&sampan.http).ok()).collect();
    wait_for("some were turned away", || {
        let text = metrics(&offered);
        let counted = text.lines().find(|line| line.contains("TooFewDescriptors"))?.rsplit(' ').next()?.parse::<u64>();
        counted.is_ok_and(|count| count > 0).then_some(())
    });
    assert!(sampan.kubectl_ok(&["get", "pods"]).contains("probe"), "the API goes on");
    sampan.kubectl_ok(&["create", "configmap", "goes-on", "--from-literal=a=b"]);
    let open = fs::read_dir(format!("/proc/{}/fd", sampan.id())).expect("descriptors").count();
    assert!(open < 290, "{open} of 300 are open");
    drop(held);
    wait_for("connections are accepted again", || (status(&sampan.http)? == "200").then_some(()));
}

#[test]
fn an_address_has_its_part_of_the_connections_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let offered = free_address();
    let sampan = Sampan::up_with(folder.path(), &["--metrics", &offered, "--max-connections-per-source", "20"]);
    deploy_probe(&sampan);
    // One that has just ended may still count when these come, and leave its place then: that is taken, too.
    let mut held = Vec::new();
    wait_for("one more is refused", || {
        held.extend((0..20).filter_map(|_| TcpStream::connect(&sampan.http).ok()));
        (status(&sampan.http)? == "503").then_some(())
    });
    assert!(metrics(&offered).lines().any(|line| line.contains("TooManyFromSource") && !line.ends_with(" 0")));
    // Another address of this machine.
    let other = Command::new("curl")
        .args([
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--interface",
            "127.0.0.9",
            "-H",
            &format!("Host: {HOST}"),
        ])
        .arg(format!("http://{}/env", sampan.http))
        .output();
    assert_eq!(String::from_utf8_lossy(&other.expect("curl starts").stdout), "200");
    drop(held);
    wait_for("it is served again", || (status(&sampan.http)? == "200").then_some(()));
}

#[test]
fn as_memory_gets_short_load_is_shed_by_named_actions_and_the_api_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let offered = free_address();
    let sampan = Sampan::up(folder.path());
    deploy_probe(&sampan);
    drop(sampan);
    // It has more than that at its start.
    let overload = "stop-accepting-connections=off";
    let flags = ["--metrics", &offered, "--memory-limit", "8Mi", "--overload", overload];
    let sampan = Sampan::up_with(folder.path(), &flags);
    let client = Client::new(&sampan.http, Some(HOST));
    let answer = wait_for("requests are refused", || {
        let answer = client.try_get("/env").ok()?;
        answer.body.contains("Overloaded").then_some(answer)
    });
    assert!(answer.status == 503 && answer.retry_after.is_some(), "{answer:?}");
    let text = metrics(&offered);
    for (action, active) in
        [("disable-keep-alive", 1), ("stop-accepting-requests", 1), ("stop-accepting-connections", 0)]
    {
        assert!(is(&text, &format!("sampan_overload_action_active{{action=\"{action}\"}} {active}")), "{text}");
    }
    assert!(is(&text, "sampan_memory_limit_bytes 8388608"), "{text}");
    sampan.kubectl_ok(&["create", "configmap", "goes-on", "--from-literal=a=b"]);
    drop(sampan);

    let sampan = Sampan::up_with(folder.path(), &["--metrics", &offered, "--memory-limit", "64Gi"]);
    let client = Client::new(&sampan.http, Some(HOST));
    wait_for("with enough it serves", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
}
