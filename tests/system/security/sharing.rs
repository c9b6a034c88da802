//! One service that takes all that it can get, beside others.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::{
    client::Client,
    kubectl::deploy_probe,
    sampan::{PATIENCE, Sampan, wait_for},
};

const SLEEPING: usize = 2000;

/// The probe once more, in a namespace of its own, with room for as many requests as anybody may want.
fn deploy_greedy(sampan: &Sampan) {
    let manifest = sampan.data_dir.join("greedy.yaml");
    let text = include_str!("../probe.yaml")
        .replace("metadata:\n  name: probe\n", "metadata:\n  name: probe\n  namespace: greedy\n")
        .replace("        # further annotations\n", "        sampan.dev/concurrency: \"2000\"\n")
        .replace(
            "          image: probe:test\n",
            "          image: probe:test\n          resources: { requests: { memory: 64Mi }, limits: { memory: 8Gi } }\n",
        );
    std::fs::write(&manifest, text).expect("a manifest");
    sampan.kubectl_ok(&["create", "namespace", "greedy"]);
    sampan.kubectl_ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    sampan.kubectl_ok(&["-n", "greedy", "rollout", "status", "deployment/probe", "--timeout=120s"]);
}

#[test]
fn two_thousand_sleeping_requests_of_one_service_keep_no_other_from_its_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up(folder.path());
    deploy_probe(&sampan);
    deploy_greedy(&sampan);
    let sleeping: Vec<TcpStream> = (0..SLEEPING)
        .map(|_| {
            let mut stream = TcpStream::connect(&sampan.http).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let head = "GET /sleep?ms=20000 HTTP/1.1\r\nHost: probe.greedy.localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).expect("a request");
            stream
        })
        .collect();
    // Once it has all that it can have, its own further requests are refused or wait.
    let greedy = Client::new(&sampan.http, Some("probe.greedy.localhost"));
    wait_for("the greedy one finds nothing more", || {
        let answer = greedy.try_get("/sleep?ms=20000");
        answer.is_ok_and(|answer| answer.status == 503).then_some(())
    });
    let other = Client::new(&sampan.http, Some("probe.default.localhost"));
    for number in 0..200 {
        let answer = other.get("/sleep?ms=1");
        assert_eq!(answer.status, 200, "request {number}: {answer:?}");
    }
    std::thread::scope(|scope| {
        let ask = || (0..10).map(|_| Client::new(&sampan.http, Some("probe.default.localhost")).get("/env").status);
        let asked: Vec<_> = (0..20).map(|_| scope.spawn(move || ask().collect::<Vec<_>>())).collect();
        for answers in asked {
            assert_eq!(answers.join().expect("answers"), [200; 10]);
        }
    });
    // The greedy one had what was idle: far more than a half.
    let mut served = 0;
    for mut stream in sleeping {
        let mut answer = [0; 12];
        served += usize::from(stream.read_exact(&mut answer).is_ok() && answer.ends_with(b"200"));
    }
    assert!(served >= 800, "{served} of {SLEEPING} were served");
}
