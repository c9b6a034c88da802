//! What a client meets at the gateway, with a real guest behind it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::{
    client::Client,
    kubectl::{deploy_probe, deploy_probe_with},
    sampan::{Sampan, wait_for},
};

const HOST: &str = "probe.default.localhost";

#[test]
fn failures_of_a_guest_are_answered_with_a_reason_and_harm_no_neighbour() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe_with(&sampan, "        sampan.dev/request-deadline: 1s\n");
    let client = Client::new(&sampan.http, Some(HOST));

    thread::scope(|scope| {
        let looping = scope.spawn(|| Client::new(&sampan.http, Some(HOST)).get("/loop"));
        for _ in 0..50 {
            assert_eq!(client.get("/env").status, 200);
        }
        let looped = looping.join().expect("an answer");
        assert_eq!(looped.status, 504, "{looped:?}");
    });
    let trapped = client.get("/trap");
    assert_eq!(trapped.status, 502, "{trapped:?}");
    assert!(trapped.json()["error"]["reason"].is_string(), "{trapped:?}");
    let greedy = client.get("/alloc?mb=1024");
    assert_eq!(greedy.status, 502, "{greedy:?}");
    assert_eq!(client.get("/env").status, 200);
    wait_for("the backtrace is in the log", || {
        sampan.cli_ok(&["logs", "deployment/probe"]).contains("backtrace").then_some(())
    });
}

#[test]
fn unknown_hosts_and_oversized_requests_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe(&sampan);

    let unknown = Client::new(&sampan.http, Some("nobody.example")).get("/");
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("nobody.example"), "{unknown:?}");

    let long = "a".repeat(200 << 10);
    let headers = raw(&sampan.http, format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nx-long: {long}\r\n\r\n").as_bytes());
    assert!(headers.starts_with("HTTP/1.1 431"), "{headers}");

    let body = format!("POST /echo HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 999999999\r\n\r\n");
    let answer = raw(&sampan.http, body.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[test]
fn requests_go_on_without_a_failure_while_a_deployment_is_scaled_and_rolled_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe(&sampan);
    let load = crate::client::Load::start(&sampan.http, Some(HOST), "/env", 4);

    sampan.cli_ok(&["scale", "deployment/probe", "--replicas", "5"]);
    sampan.cli_ok(&["rollout", "status", "deployment/probe"]);
    sampan.kubectl_ok(&["set", "env", "deployment/probe", "ROUND=2"]);
    sampan.cli_ok(&["rollout", "status", "deployment/probe"]);
    sampan.cli_ok(&["scale", "deployment/probe", "--replicas", "1"]);
    sampan.cli_ok(&["rollout", "status", "deployment/probe"]);
    sampan.cli_ok(&["rollout", "undo", "deployment/probe"]);
    sampan.cli_ok(&["rollout", "status", "deployment/probe"]);

    let (answered, failed) = load.stop();
    assert!(failed.is_empty(), "{} of {answered} failed: {:?}", failed.len(), failed.first());
    assert!(answered > 0);
}

#[test]
fn an_ingress_routes_what_its_rules_have_and_the_rest_to_its_default_backend_in_one_process_and_in_several() {
    for workers in [None, Some(1)] {
        let folder = tempfile::tempdir().expect("a folder");
        let sampan =
            workers.map_or_else(|| Sampan::up(folder.path()), |workers| Sampan::server(folder.path(), workers));
        deploy_probe(&sampan);
        let manifest = folder.path().join("ingress.yaml");
        std::fs::write(&manifest, INGRESS).expect("a manifest");
        sampan.kubectl_ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
        let status = |host: &str, path: &str| Client::new(&sampan.http, Some(host)).get(path).status;
        wait_for("the rules are known", || (status("shop.test", "/missing") == 503).then_some(()));
        for (host, path) in [
            ("shop.test", "/env"),
            ("shop.test", "/other"),
            ("bare.test", "/env"),
            ("a.wild.test", "/env"),
            ("nobody.test", "/env"),
        ] {
            let answered = status(host, path);
            assert!(answered == 200 || (path == "/other" && answered == 404), "{host}{path}: {answered}");
        }
        let unrouted = Client::new(&sampan.http, Some("shop.test")).get("/other");
        assert!(!unrouted.body.contains("NoRuleForPath"), "{unrouted:?}");
    }
}

/// The Service `gone` does not exist: a path that leads there is answered with 503.
const INGRESS: &str = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
spec:
  defaultBackend: {service: {name: probe, port: {number: 80}}}
  rules:
  - host: shop.test
    http:
      paths:
      - {path: /missing, pathType: Prefix, backend: {service: {name: gone, port: {number: 80}}}}
  - host: bare.test
  - host: '*.wild.test'
    http:
      paths:
      - {path: /missing, pathType: Prefix, backend: {service: {name: gone, port: {number: 80}}}}
";

#[test]
fn an_interrupt_drains_what_is_in_flight_and_ends_cleanly() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe(&sampan);
    let address = sampan.http.clone();
    let slow = thread::spawn(move || Client::new(&address, Some(HOST)).get("/sleep?ms=1500"));
    wait_for("the request is in flight", || {
        sampan.kubectl_ok(&["get", "pods"]).contains("Running").then(|| thread::sleep(Duration::from_millis(300)))
    });
    let (status, took) = sampan.stop();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(50), "the limit is 5 s, tenfold for slow machines: {took:?}");
    assert_eq!(slow.join().expect("an answer").status, 200);
}

#[test]
fn what_a_guest_stored_and_what_was_deployed_survive_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe(&sampan);
    let stored = Client::new(&sampan.http, Some(HOST)).put_text("/kv/default/greeting", "hello");
    assert!(stored.status < 300, "{stored:?}");
    sampan.kill();

    let sampan = Sampan::up(folder.path());
    let client = Client::new(&sampan.http, Some(HOST));
    let read = wait_for("the probe answers again", || {
        client.try_get("/kv/default/greeting").ok().filter(|answer| answer.status == 200)
    });
    assert_eq!(read.body, "hello");
}

fn raw(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let _ = stream.write_all(request); // a server may answer and close before it has read everything
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).into_owned()
}
