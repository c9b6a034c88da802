//! Networks that are cut: the control plane and the gateway here, a worker in a network namespace of its own.
//!
//! It needs a system that lets this user make network namespaces and filter packets; where it does not, the tests say so and
//! end.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
    thread,
    time::Duration,
};

use super::{
    HOST, assert_none_failed,
    load::{Kind, Load, Outcome},
    pods, wait_for_ready,
};
use crate::sampan::{Role, Sampan, command, wait_for};

/// Requests a second.
const RATE: f64 = 100.0;
/// How long each fault lasts.
const LASTS: Duration = Duration::from_secs(4);

/// A network namespace that is joined to this one by a pair of interfaces.
struct Network {
    name: String,
    here: String,
    there: String,
}

impl Network {
    /// `None`, and why on standard error, where the system does not allow it.
    fn make() -> Option<Self> {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = format!("sampan-{process}-{number}");
        let subnet = format!("10.{}.{}", 100 + process / 250 % 100, process % 250);
        let network = Self { here: format!("{subnet}.1"), there: format!("{subnet}.2"), name };
        let (outer, inner) = (format!("so{process}"), format!("si{process}"));
        let steps = [
            format!("ip netns add {}", network.name),
            format!("ip link add {outer} type veth peer name {inner} netns {}", network.name),
            format!("ip addr add {}/24 dev {outer}", network.here),
            format!("ip link set {outer} up"),
            format!("ip -n {} addr add {}/24 dev {inner}", network.name, network.there),
            format!("ip -n {} link set {inner} up", network.name),
            format!("ip -n {} link set lo up", network.name),
            format!("ip netns exec {} nft add table inet faults", network.name),
            format!(
                "ip netns exec {} nft add chain inet faults in {{ type filter hook input priority 0 ; }}",
                network.name
            ),
            format!(
                "ip netns exec {} nft add chain inet faults out {{ type filter hook output priority 0 ; }}",
                network.name
            ),
        ];
        for step in &steps {
            if let Err(why) = run(step) {
                eprintln!("not tested here: `{step}`: {why}");
                return None;
            }
        }
        Some(network)
    }

    /// Packets that match are dropped: `in` is towards the worker, `out` from it.
    fn fault(&self, chain: &str, matching: &str) {
        run(&format!("ip netns exec {} nft add rule inet faults {chain} {matching} drop", self.name)).expect("a rule");
    }

    fn heal(&self) {
        run(&format!("ip netns exec {} nft flush table inet faults", self.name)).expect("rules that go");
    }

    fn command(&self, args: &[&str]) -> Command {
        let program = command(args);
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name]).arg(program.get_program()).args(program.get_args());
        inside.env("DOCKER_CONFIG", "/nonexistent").env_remove("SAMPAN_DATA_DIR");
        inside
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = run(&format!("ip netns del {}", self.name));
    }
}

fn run(command: &str) -> Result<(), String> {
    let mut words = command.split_whitespace();
    let output =
        Command::new(words.next().unwrap_or_default()).args(words).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// A server with one worker of its own here, and another in the network, reached at `advertise` if that is given.
fn cluster(folder: &std::path::Path, network: &Network, delay: Option<Duration>) -> (Sampan, Role) {
    let port = |ip: &str| TcpListener::bind((ip, 0)).expect("a free port").local_addr().expect("bound").port();
    let sessions = format!("{}:{}", network.here, port(&network.here));
    let sampan = Sampan::server_with(folder, 1, &["--sessions", &sessions]);
    let token = folder.join("token");
    fs::write(&token, sampan.cli_ok(&["token", "create"])).expect("a token file");
    let listen = format!("{}:7500", network.there);
    let (join, advertise) = match delay {
        None => (sessions, listen.clone()),
        // What goes either way is held up here, in front of the interface.
        Some(delay) => (delayed(&network.here, sessions, delay), delayed(&network.here, listen.clone(), delay)),
    };
    let mut worker = network.command(&["worker", "--join", &join, "--name", "far", "--listen", &listen]);
    worker.args(["--advertise", &advertise, "--token-file"]).arg(&token).arg("--data-dir").arg(folder.join("far"));
    let worker = Role::start(worker);
    worker.wait_for_output("is up");
    sampan.wait_for_nodes(2);
    super::deploy(&sampan, 4);
    (sampan, worker)
}

/// An address at which `to` is reached with so much delay in each direction.
fn delayed(ip: &str, to: String, delay: Duration) -> String {
    let listener = TcpListener::bind((ip, 0)).expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(&to) else { continue };
            let (near_too, far_too) = (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
            thread::spawn(move || pass_on(near, far, delay));
            thread::spawn(move || pass_on(far_too, near_too, delay));
        }
    });
    address
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    use std::io::{Read, Write};
    let (held, due) = std::sync::mpsc::channel::<(std::time::Instant, Vec<u8>)>();
    let sends = thread::spawn(move || {
        for (at, bytes) in due {
            thread::sleep(at.saturating_duration_since(std::time::Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if held.send((std::time::Instant::now() + delay, bytes[..read].to_vec())).is_err() {
            break;
        }
    }
    drop(held);
    let _ = sends.join();
}

/// Load while `fault` lasts and after it is healed; all replicas are then there, each once.
fn load_through(sampan: &Sampan, network: &Network, fault: impl FnOnce()) -> Outcome {
    let load = Load::start(&sampan.http, HOST, RATE, &[Kind::Get, Kind::Put]);
    thread::sleep(Duration::from_secs(1));
    fault();
    thread::sleep(LASTS);
    network.heal();
    sampan.wait_for_nodes(2);
    wait_for_ready(sampan, 4);
    thread::sleep(Duration::from_secs(1));
    let names: Vec<_> = pods(sampan).into_iter().map(|pod| pod.name).collect();
    assert_eq!(names.len(), 4, "each replica is owned once: {names:?}");
    load.stop()
}

#[test]
fn a_worker_that_is_cut_off_costs_no_request_whichever_way_and_none_of_its_replicas_is_owned_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(network) = Network::make() else { return };
    let (sampan, worker) = cluster(folder.path(), &network, None);
    for chains in [&["in", "out"][..], &["in"], &["out"]] {
        let outcome = load_through(&sampan, &network, || {
            chains.iter().for_each(|chain| network.fault(chain, "ip protocol tcp"));
            wait_for("the worker says that it goes on", || {
                worker.output().contains("goes on with what it knows").then_some(())
            });
        });
        assert_none_failed(&outcome);
    }
}

#[test]
fn a_network_that_loses_a_third_of_all_packets_costs_no_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(network) = Network::make() else { return };
    let (sampan, _worker) = cluster(folder.path(), &network, None);
    let outcome = load_through(&sampan, &network, || network.fault("in", "ip protocol tcp numgen random mod 100 < 30"));
    assert_none_failed(&outcome);
}

#[test]
fn a_network_that_takes_200_ms_each_way_costs_no_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(network) = Network::make() else { return };
    let (sampan, _worker) = cluster(folder.path(), &network, Some(Duration::from_millis(200)));
    wait_for("replicas are on both", || pods(&sampan).iter().any(|pod| pod.node == "far").then_some(()));
    assert_none_failed(&load_through(&sampan, &network, || {}));
}
