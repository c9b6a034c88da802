//! Guests that misbehave for longer than one request, and more requests than there is room for.

use std::{io::Write, net::TcpStream, thread};

use crate::{
    client::{Answer, Client},
    kubectl::{apply_probe_with, deploy_probe_with},
    sampan::{Sampan, wait_for},
};

const HOST: &str = "probe.default.localhost";

#[test]
fn services_that_call_each_other_in_a_circle_are_answered_with_loop_detected() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe_with(&sampan, "        sampan.dev/outbound: probe\n");
    let client = Client::new(&sampan.http, Some(HOST));
    let circle = client.get("/again?url=http://probe");
    assert_eq!(circle.status, 508, "{circle:?}");
    assert_eq!(client.get("/env").status, 200);
}

#[test]
fn a_replica_that_keeps_trapping_backs_off_where_kubectl_shows_it_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe_with(&sampan, "");
    let client = Client::new(&sampan.http, Some(HOST));
    wait_for("a replica backs off", || {
        let _ = client.try_get("/trap");
        sampan.kubectl_ok(&["get", "pods"]).contains("CrashLoopBackOff").then_some(())
    });
    let reason = ["get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].state.waiting.message}"];
    let told = sampan.kubectl_ok(&reason);
    wait_for("it runs again", || {
        let pods = sampan.kubectl_ok(&["get", "pods", "--no-headers"]);
        (pods.lines().count() == 2 && pods.lines().all(|line| line.contains("1/1"))).then_some(())
    });
    assert_eq!(client.get("/env").status, 200, "it had said: {told}");
}

#[test]
fn beyond_the_queue_requests_are_refused_at_once_with_a_time_to_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up_with(folder.path(), &["--queue-limit", "1"]);
    deploy_probe_with(&sampan, "        sampan.dev/concurrency: \"1\"\n");
    let answers: Vec<Answer> = thread::scope(|scope| {
        let ask = || Client::new(&sampan.http, Some(HOST)).get("/sleep?ms=3000");
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().expect("an answer")).collect()
    });
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(served + refused.len(), 8, "{answers:?}");
    assert!(served >= 3 && !refused.is_empty(), "{answers:?}");
    assert!(refused.iter().all(|answer| answer.retry_after.is_some()), "{answers:?}");
}

#[test]
fn a_guest_whose_client_has_left_is_ended_and_its_place_is_free_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up_with(folder.path(), &["--queue-wait", "200ms"]);
    deploy_probe_with(&sampan, "        sampan.dev/concurrency: \"1\"\n        sampan.dev/request-deadline: 10m\n");
    let loops: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut leaving = TcpStream::connect(&sampan.http).expect("a connection");
            leaving.write_all(format!("GET /loop HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).expect("a request");
            leaving
        })
        .collect();
    let client = Client::new(&sampan.http, Some(HOST));
    wait_for("both places are taken", || (client.get("/env").status == 503).then_some(()));
    drop(loops);
    wait_for("both places are free", || (client.get("/env").status == 200).then_some(()));
    let restarts = sampan.kubectl_ok(&["get", "pods", "--no-headers"]);
    assert!(restarts.lines().all(|line| line.split_whitespace().nth(3) == Some("0")), "{restarts}");
    assert!(!sampan.cli_ok(&["logs", "deployment/probe"]).contains("trap"));
}

#[test]
fn the_memory_limit_counts_all_requests_of_a_replica_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe_with(&sampan, "");
    sampan.cli_ok(&["scale", "deployment/probe", "--replicas", "1"]);
    sampan.kubectl_ok(&["set", "resources", "deployment/probe", "--limits", "memory=64Mi"]);
    sampan.cli_ok(&["rollout", "status", "deployment/probe"]);
    let client = Client::new(&sampan.http, Some(HOST));
    assert_eq!(client.get("/alloc?mb=40&ms=0").status, 200);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let ask = || Client::new(&sampan.http, Some(HOST)).get("/hold?mb=40&ms=8000").status;
        let asked: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().expect("an answer")).collect()
    });
    // Those that began to grow while another held its memory are ended; one that had not, waits for its turn, and not for ever.
    let for_want_of_memory = |status: &u16| [502, 503].contains(status);
    assert!(statuses.contains(&200) && statuses.iter().any(for_want_of_memory), "{statuses:?}");
    wait_for("it serves again", || (client.get("/env").status == 200).then_some(()));
}

#[test]
fn a_component_that_exhausts_its_compiler_fails_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up_with(folder.path(), &["--compile-memory", "64Mi"]);
    apply_probe_with(&sampan, "");
    wait_for("the limit is named", || {
        sampan.kubectl_ok(&["get", "events"]).contains("over its limit of 67108864 bytes of memory").then_some(())
    });
    assert!(sampan.kubectl(&["get", "nodes"]).status.success(), "the server goes on");
    sampan.kill();
    let sampan = Sampan::up_with(folder.path(), &["--compile-timeout", "1ms"]);
    wait_for("the time is named", || {
        let events = sampan.kubectl_ok(&["get", "events"]);
        let named =
            events.contains("takes longer than 1ms to compile") && events.contains("`--compile-timeout` raises");
        assert!(!events.contains("toolchain"), "it is not to blame: {events}");
        named.then_some(())
    });
    sampan.kill();
    let sampan = Sampan::up(folder.path());
    wait_for("it answers within the usual limits", || {
        (Client::new(&sampan.http, Some(HOST)).get("/env").status == 200).then_some(())
    });
}
