//! What guests of all kinds do, in both shapes: one process, and the gateway apart from workers.

use std::{net::TcpStream, thread};

use crate::{
    client::{Answer, Client},
    kubectl::deploy_probe_with,
    sampan::{Sampan, guest, wait_for},
};

const HOST: &str = "probe.default.localhost";

/// Does this with `sampan up`, and with a gateway whose workers are processes of their own; one replica of the probe runs.
pub(crate) fn in_both_shapes(annotations: &str, check: impl Fn(&Sampan)) {
    for workers in [0, 2] {
        let folder = tempfile::tempdir().expect("a folder");
        let sampan = match workers {
            0 => Sampan::up(folder.path()),
            workers => Sampan::server(folder.path(), workers),
        };
        deploy_probe_with(&sampan, annotations);
        sampan.kubectl_ok(&["scale", "deployment/probe", "--replicas=1"]);
        wait_for("one pod is left", || {
            (sampan.kubectl_ok(&["get", "pods", "--no-headers"]).lines().count() == 1).then_some(())
        });
        check(&sampan);
    }
}

fn ask_at_once(sampan: &Sampan, count: usize, path: &str) -> Vec<Answer> {
    thread::scope(|scope| {
        let ask = || Client::new(&sampan.http, Some(HOST)).get(path);
        let asked: Vec<_> = (0..count).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().expect("an answer")).collect()
    })
}

#[test]
fn requests_for_which_the_memory_limit_has_no_room_wait_instead_of_being_refused() {
    in_both_shapes("", |sampan| {
        sampan.kubectl_ok(&["set", "resources", "deployment/probe", "--limits=memory=1Mi"]);
        sampan.kubectl_ok(&["rollout", "status", "deployment/probe", "--timeout=120s"]);
        let answers = ask_at_once(sampan, 40, "/sleep?ms=200");
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        let log = sampan.cli_ok(&["logs", "deployment/probe"]);
        assert!(log.contains("requests at a time") && !log.contains("out of memory"), "{log}");
    });
}

#[test]
fn replicas_are_added_where_the_memory_of_one_has_no_room_for_all_requests() {
    in_both_shapes("", |sampan| {
        sampan.kubectl_ok(&["set", "resources", "deployment/probe", "--limits=memory=1Mi"]);
        sampan.kubectl_ok(&["annotate", "deployment/probe", "sampan.dev/scale=1..10"]);
        sampan.kubectl_ok(&["rollout", "status", "deployment/probe", "--timeout=120s"]);
        let answers = ask_at_once(sampan, 30, "/sleep?ms=3000");
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        let events = sampan.kubectl_ok(&["get", "events"]);
        assert!(events.contains("SuccessfulRescale"), "{events}");
    });
}

#[test]
fn work_after_an_answer_is_done_and_clients_do_not_wait_for_it() {
    in_both_shapes("        sampan.dev/concurrency: \"1\"\n", |sampan| {
        let client = Client::new(&sampan.http, Some(HOST));
        for round in 0..5 {
            let answer = client.get(&format!("/after?ms=300&msg=done-{round}"));
            assert_eq!((answer.status, &answer.body[..]), (200, "xxxxx"));
        }
        wait_for("the last is done", || {
            let log = sampan.cli_ok(&["logs", "deployment/probe"]);
            (0..5).all(|round| log.contains(&format!("done-{round}"))).then_some(())
        });
    });
}

#[test]
fn work_after_an_answer_is_finished_before_a_replica_stops() {
    in_both_shapes("", |sampan| {
        let client = Client::new(&sampan.http, Some(HOST));
        assert_eq!(client.get("/after?ms=1500&msg=done").status, 200);
        // Its log goes with its pod, and so is followed.
        let pod = sampan.kubectl_ok(&["get", "pods", "-o", "name"]);
        let follower = sampan.kubectl_command(&["logs", "-f", pod.trim()]).stdout(std::process::Stdio::piped()).spawn();
        let follower = follower.expect("kubectl starts");
        sampan.kubectl_ok(&["scale", "deployment/probe", "--replicas=0"]);
        let log = follower.wait_with_output().expect("it ends with the pod");
        assert!(String::from_utf8_lossy(&log.stdout).contains("done"), "{log:?}");
    });
}

#[test]
fn a_client_that_leaves_before_its_answer_ends_the_guest() {
    in_both_shapes("        sampan.dev/concurrency: \"1\"\n", |sampan| {
        use std::io::Write;
        let mut leaving = TcpStream::connect(&sampan.http).expect("a connection");
        leaving.write_all(format!("GET /sleep?ms=29000 HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).expect("sent");
        let client = Client::new(&sampan.http, Some(HOST));
        drop(leaving);
        assert_eq!(client.get("/counter").status, 200);
    });
}

#[test]
fn a_deployment_whose_instances_cannot_be_reused_as_it_asks_is_warned() {
    in_both_shapes("        sampan.dev/isolation: replica\n", |sampan| {
        assert!(!sampan.kubectl_ok(&["get", "events"]).contains("IsolationNotHonoured"));
        // What ComponentizeJS writes of itself into the components that it makes.
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let field = [&[1][..], &text("processed-by"), &[1], &text("ComponentizeJS"), &text("0.22.0")].concat();
        let section = [text("producers"), field].concat();
        let probe = std::fs::read(guest("probe")).expect("the probe");
        let component = sampan.data_dir.join("script.wasm");
        std::fs::write(&component, [probe, vec![0, section.len() as u8], section].concat()).expect("a component");
        sampan.cli_ok(&["build", component.to_str().expect("UTF-8"), "-t", "script:test"]);
        sampan.kubectl_ok(&["set", "image", "deployment/probe", "probe=script:test"]);
        sampan.kubectl_ok(&["rollout", "status", "deployment/probe", "--timeout=120s"]);
        wait_for("the Deployment is warned", || {
            let events =
                sampan.kubectl_ok(&["get", "events", "--field-selector=involvedObject.kind=Deployment,type=Warning"]);
            (events.contains("IsolationNotHonoured") && events.contains("ComponentizeJS 0.22.0")).then_some(())
        });
    });
}

#[test]
fn one_line_that_is_written_through_several_handles_is_one_line_of_kubectl_logs() {
    in_both_shapes("", |sampan| {
        let client = Client::new(&sampan.http, Some(HOST));
        assert_eq!(client.get("/pieces?size=4&msg=one+two+three%0A").status, 200);
        wait_for("the line is there", || {
            let log = sampan.kubectl_ok(&["logs", "deployment/probe"]);
            log.lines().any(|line| line == "one two three").then_some(())
        });
    });
}
