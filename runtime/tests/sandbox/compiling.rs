use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use api::replica::ReplicaPhase;
use runtime::CompileServer;

use crate::{
    fleet::PATIENCE,
    inside::{self, Inside, block_on},
};

/// Why a replica of the probe did not start.
async fn failure(inside: &Inside, server: &CompileServer) -> String {
    let mut fleet = inside.fleet_by(server.clone()).await;
    let spec = fleet.spec("probe-1", "probe");
    let id = spec.id.clone();
    fleet.start(spec).await;
    match fleet.wait(&id, |phase| matches!(phase, ReplicaPhase::Failed(_))).await {
        ReplicaPhase::Failed(failure) => failure.message,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn limits(inside: &Inside) {
    block_on(async {
        for _ in 0..3 {
            let why = failure(inside, &inside.tight_server).await;
            assert!(why.contains("bytes of memory"), "{why}");
        }
    });
}

pub(crate) fn dead_server(inside: &Inside) {
    block_on(async {
        let why = failure(inside, &inside.dead_server).await;
        assert!(why.contains("the compile server has ended with"), "{why}");
    });
}

/// What a worker does that is killed: it has a server, and says which process that is.
pub(crate) fn abandon() -> ExitCode {
    let _server = inside::server(1 << 30);
    let me = std::process::id();
    println!("{}", fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap_or_default().trim());
    thread::sleep(PATIENCE);
    ExitCode::FAILURE
}

pub(crate) fn ends_with_its_worker() {
    let mut worker = Command::new(env::current_exe().unwrap()).arg("abandon").stdout(Stdio::piped()).spawn().unwrap();
    let mut server = String::new();
    BufReader::new(worker.stdout.take().unwrap()).read_line(&mut server).unwrap();
    worker.kill().unwrap();
    worker.wait().unwrap();
    if server.trim().is_empty() {
        println!("not tested: this kernel does not tell the children of a process");
        return;
    }
    let status = format!("/proc/{}/stat", server.trim());
    let ended = || fs::read_to_string(&status).map_or(true, |stat| stat.contains(") Z "));
    let began = Instant::now();
    while !ended() {
        assert!(began.elapsed() < PATIENCE, "it lives on");
        thread::sleep(Duration::from_millis(10));
    }
}
