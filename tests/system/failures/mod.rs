//! What callers see while something fails: nothing. Each fault happens under load.
//!
//! Counts are asserted, and what comes before what; how long it takes is measured by `bench/`.

mod clock;
mod control_plane;
mod disk;
mod ends;
mod guests;
mod isolation;
mod joining;
mod load;
mod network;
mod rolling;
mod workers;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clock::Clock;
pub(crate) use control_plane::deploy as deploy_in;
use load::Outcome;
pub(crate) use load::{Kind, Load};

use crate::sampan::{Role, Sampan, command, free_address, wait_for};

/// The host of the test guest's Service.
pub(crate) const HOST: &str = "probe.default.localhost";

/// Deploys the test guest with so many replicas, and waits until all serve.
fn deploy(sampan: &Sampan, replicas: usize) {
    crate::kubectl::deploy_probe(sampan);
    sampan.cli_ok(&["scale", "deployment/probe", "--replicas", &replicas.to_string()]);
    sampan.cli_ok(&["rollout", "status", "deployment/probe"]);
    wait_for_ready(sampan, replicas);
}

/// Waits until exactly so many pods are there, all ready. Answers the nodes that they are on.
fn wait_for_ready(sampan: &Sampan, replicas: usize) -> Vec<String> {
    wait_for("all replicas are ready, and no others are there", || {
        let pods = pods(sampan);
        (pods.len() == replicas && pods.iter().all(|pod| pod.ready))
            .then(|| pods.into_iter().map(|pod| pod.node).collect())
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pod {
    name: String,
    ready: bool,
    restarts: String,
    node: String,
}

fn pods(sampan: &Sampan) -> Vec<Pod> {
    let listed = sampan.cli_ok(&["get", "pods", "-o", "wide"]);
    let pod = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Further words of the restarts, such as `(3s ago)`, come before the node.
        let node = words.iter().rev().nth(2).copied().unwrap_or_default();
        Pod {
            name: words[0].to_owned(),
            ready: words[1] == "1/1",
            restarts: words[3].to_owned(),
            node: node.to_owned(),
        }
    };
    listed.lines().skip(1).map(pod).collect()
}

/// The process of a worker that the server started.
fn worker_process(sampan: &Sampan, node: &str) -> u32 {
    wait_for("the worker's process is there", || sampan.process(node))
}

/// Load of GET and idempotent PUT, at seven tenths of what the system takes.
fn load(sampan: &Sampan) -> Load {
    Load::at_seven_tenths(&sampan.http, HOST)
}

/// Nothing may have failed.
pub(crate) fn assert_none_failed(outcome: &Outcome) {
    let failed = &outcome.failed;
    assert!(failed.is_empty(), "{} of {} failed: {:?}", failed.len(), outcome.sent, failed.first());
    assert!(outcome.sent > 0);
}

/// A control plane, a gateway and workers, each a process of its own, joined by tokens over TLS.
pub(crate) struct Cluster {
    pub(crate) server: Option<Role>,
    /// For the command line: its process is not a server.
    pub(crate) api: String,
    pub(crate) sessions: String,
    pub(crate) http: String,
    folder: PathBuf,
    pub(crate) workers: Vec<Role>,
    gateway: Role,
}

impl Cluster {
    pub(crate) fn start(folder: &Path, workers: usize, server_flags: &[&str]) -> Self {
        Self::start_with(folder, &vec![&[][..]; workers], server_flags)
    }

    /// With flags for each worker.
    fn start_with(folder: &Path, workers: &[&[&str]], server_flags: &[&str]) -> Self {
        Self::start_at(folder, workers, server_flags, None)
    }

    /// By a clock of its own.
    fn start_at(folder: &Path, workers: &[&[&str]], server_flags: &[&str], clock: Option<&Clock>) -> Self {
        let (api, sessions, http) = (free_address(), free_address(), free_address());
        let show = |command: &mut Command| clock.into_iter().for_each(|clock| clock.show(command));
        let mut server = server_command(folder, &api, &sessions, server_flags);
        show(&mut server);
        let server = started_server(folder, server);
        let uses = (workers.len() + 1).to_string();
        let token = cli(folder, &["token", "create", "--uses", &uses]);
        fs::write(folder.join("token"), token).expect("a token file");
        let start = |(number, flags): (usize, &&[&str])| {
            let mut worker = worker_command(folder, &sessions, &format!("w{number}"));
            worker.args(*flags);
            show(&mut worker);
            started(worker)
        };
        let workers = (1..).zip(workers).map(start).collect();
        let mut gateway = command(&["gateway", "--join", &sessions, "--http", &http, "--name", "g1"]);
        gateway.arg("--token-file").arg(folder.join("token")).arg("--data-dir").arg(folder.join("g1"));
        show(&mut gateway);
        let gateway = Role::start(gateway);
        gateway.wait_for_output("the gateway is up");
        Self { server: Some(server), api, sessions, http, folder: folder.to_owned(), workers, gateway }
    }

    pub(crate) fn cli(&self, args: &[&str]) -> String {
        cli(&self.folder, args)
    }
}

pub(crate) fn start_server(folder: &Path, api: &str, sessions: &str, flags: &[&str]) -> Role {
    started_server(folder, server_command(folder, api, sessions, flags))
}

fn server_command(folder: &Path, api: &str, sessions: &str, flags: &[&str]) -> Command {
    let mut server = command(&["server", "--no-gateway", "--api", api, "--sessions", sessions]);
    server.args(flags).arg("--data-dir").arg(folder.join("server"));
    server
}

fn started_server(folder: &Path, server: Command) -> Role {
    let server = Role::start(server);
    server.wait_for_output("is up");
    wait_for("the API answers", || {
        command(&["get", "nodes", "--data-dir"])
            .arg(folder.join("server"))
            .output()
            .ok()?
            .status
            .success()
            .then_some(())
    });
    server
}

pub(crate) fn start_worker(folder: &Path, sessions: &str, name: &str) -> Role {
    started(worker_command(folder, sessions, name))
}

fn started(worker: Command) -> Role {
    let worker = Role::start(worker);
    worker.wait_for_output("is up");
    worker
}

pub(crate) fn worker_command(folder: &Path, sessions: &str, name: &str) -> Command {
    let mut worker = command(&["worker", "--join", sessions, "--name", name, "--listen", "127.0.0.1:0"]);
    worker.arg("--token-file").arg(folder.join("token")).arg("--data-dir").arg(folder.join(name));
    worker
}

fn cli(folder: &Path, args: &[&str]) -> String {
    let output = command(args).arg("--data-dir").arg(folder.join("server")).output().expect("the program starts");
    crate::sampan::succeed(&args.join(" "), output)
}
