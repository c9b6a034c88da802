//! Guests and clients that misbehave, beside others that are to notice nothing.

use std::{
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use super::{
    HOST, assert_none_failed,
    load::{Kind, Load},
};
use crate::{client::Client, kubectl::deploy_probe_with, sampan::Sampan};

/// How long each disturbance lasts.
const DISTURBED: Duration = Duration::from_secs(4);
const BAD: &str = "bad.default.localhost";

/// By how much others slow down is a figure: `bench/run neighbours`.
#[test]
fn no_request_of_neighbours_of_guests_that_trap_loop_and_hoard_and_of_slow_clients_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server(folder.path(), 2);
    deploy_probe_with(&sampan, "");
    deploy_bad(&sampan);
    let mut number = 0;
    unharmed(&sampan, |client| {
        number += 1;
        let _ = client.try_get(if number % 10 == 0 { "/trap" } else { "/env" });
    });
    unharmed(&sampan, |client| drop(client.try_get("/loop")));
    unharmed(&sampan, |client| drop(client.try_get("/alloc?mb=1024")));
    let _slow: Vec<TcpStream> = (0..1000).map(|_| slow_client(&sampan.http)).collect();
    unharmed(&sampan, |_| {});
}

/// No request to the neighbours fails while `disturb` is done again and again.
fn unharmed(sampan: &Sampan, mut disturb: impl FnMut(&Client) + Send) {
    let over = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            let client = Client::new(&sampan.http, Some(BAD));
            while !over.load(Relaxed) {
                disturb(&client);
                thread::sleep(Duration::from_millis(5));
            }
        });
        let load = Load::start(&sampan.http, HOST, 100.0, &[Kind::Get, Kind::Put]);
        thread::sleep(DISTURBED);
        over.store(true, Relaxed);
        load.stop()
    });
    assert_none_failed(&outcome);
}

/// The same guest under another name: it is another replica, and may share workers.
fn deploy_bad(sampan: &Sampan) {
    let annotation = "        sampan.dev/request-deadline: 1s\n";
    let text = include_str!("../probe.yaml").replace("        # further annotations\n", annotation);
    let text = text.replace("name: probe", "name: bad").replace("app: probe", "app: bad");
    let manifest = sampan.data_dir.join("bad.yaml");
    std::fs::write(&manifest, text).expect("a manifest");
    sampan.cli_ok(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    sampan.cli_ok(&["rollout", "status", "deployment/bad"]);
}

/// It sends the beginning of a request, and then nothing.
fn slow_client(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(format!("POST /echo HTTP/1.1\r\nHost: {BAD}\r\n").as_bytes()).expect("it is taken");
    stream
}
