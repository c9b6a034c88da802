//! In builds for tests alone: a worker's process that does what a guest would that has broken out of its own sandbox. It was started
//! as any other and has given up what any other gives up; then it tries what must not be possible, and says what was.

use std::{
    fs,
    io::{self, Read},
    os::unix::net::UnixStream as BlockingStream,
    path::{Path, PathBuf},
    time::Duration,
};

use api::{
    Bucket, Digest, FetchImage, KeyValue, WorkerName,
    outbound::{Connect, Reach},
    session::{Capacity, WorkerHello, WorkerSide, WorkerUp},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use transport::{
    AskedConnect, BrokerClient, ControlPlaneClient, ControlPlaneWay, RemoteImages, RemoteKeyValue, Wanted,
};

use super::WorkerPlan;
use crate::terminal::print_error;

/// Which process is hostile, by its name.
pub(crate) const HOSTILE: &str = "SAMPAN_HOSTILE";
/// A bucket of somebody else, as `NAMESPACE/NAME`.
const BUCKET: &str = "SAMPAN_HOSTILE_BUCKET";
/// An image of somebody else.
const IMAGE: &str = "SAMPAN_HOSTILE_IMAGE";
/// How long an answer is waited for that should not come.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tries everything, prints a line of each (`hostile: WHAT: open` or `closed`), and waits for its end.
pub(crate) async fn hostile(plan: &WorkerPlan) -> anyhow::Result<()> {
    let own = plan.data.resolve()?;
    // Its own directory is `ROOT/processes/NAME`.
    let root = own.root().ancestors().nth(2).unwrap_or(own.root()).to_owned();
    files(&root, own.root());
    processes();
    sockets(&root);
    let broker = BrokerClient::of_standard_input()?;
    asked(&broker, &plan.name).await;
    print_error("hostile: done");
    broker.gone().cancelled().await;
    Ok(())
}

fn say<T, E: std::fmt::Display>(what: &str, tried: Result<T, E>) {
    match tried {
        Ok(_) => print_error(format_args!("hostile: {what}: open")),
        Err(why) => print_error(format_args!("hostile: {what}: closed ({why})")),
    }
}

fn files(root: &Path, own: &Path) {
    let others = |name: &str| root.join(name);
    for dir in ["", "run", "images", "cache", "cluster", "identity", "processes"] {
        let dir = others(dir);
        say(&format!("list {}", dir.display()), fs::read_dir(&dir));
        say(&format!("write in {}", dir.display()), fs::write(dir.join("planted"), "x"));
        say(&format!("link in {}", dir.display()), std::os::unix::fs::symlink("/etc/passwd", dir.join("link")));
    }
    let known = [
        "cluster/ca.key",
        "cluster/ca.crt",
        "kubeconfig",
        "state.redb",
        "keyvalue.redb",
        "cache/key",
        "images/index.json",
    ];
    let mut files: Vec<PathBuf> = known.into_iter().map(others).collect();
    files.extend(["run/control.sock", "run/w.sock", "run/w.default.sock"].map(others));
    files.extend(["cache/key", "images/index.json"].map(|file| others("processes/w.default").join(file)));
    files.push(others("identity/worker-w.pem"));
    files.extend(["/etc/passwd", "/etc/shadow", "/proc/1/environ"].map(PathBuf::from));
    let planted = own.join("images/planted");
    for file in files {
        let shown = file.display().to_string();
        say(&format!("read {shown}"), fs::File::open(&file).and_then(|mut file| file.read(&mut [0])));
        say(&format!("replace {shown}"), fs::write(&planted, "x").and_then(|()| fs::rename(&planted, &file)));
        say(&format!("remove {shown}"), fs::remove_file(&file));
        say(&format!("link {shown}"), fs::hard_link(&file, own.join("images/stolen")));
    }
}

fn processes() {
    use rustix::process::{Signal, getppid, kill_process};
    let Some(parent) = getppid() else { return };
    let id = parent.as_raw_nonzero();
    say("signal who started it", kill_process(parent, Signal::WINCH));
    for file in ["environ", "mem", "maps", "cmdline", "fd/0"] {
        say(&format!("read {file} of who started it"), fs::File::open(format!("/proc/{id}/{file}")));
    }
    say("list processes", fs::read_dir("/proc"));
    say("start a program", std::process::Command::new("/bin/true").status());
}

fn sockets(root: &Path) {
    for name in ["control.sock", "w.sock", "w.default.sock", "w.evil.sock"] {
        say(&format!("connect to {name}"), BlockingStream::connect(root.join("run").join(name)));
    }
    say("connect to the network", std::net::TcpStream::connect("127.0.0.1:80"));
    say("listen on the network", std::net::TcpListener::bind("127.0.0.1:0"));
    say("a socket of datagrams", std::os::unix::net::UnixDatagram::pair());
}

async fn asked(broker: &BrokerClient, name: &str) {
    let client = ControlPlaneClient::new(ControlPlaneWay::Broker(broker.clone()));
    let stop = CancellationToken::new();
    // As itself it has a session; otherwise the rest would prove nothing.
    let mut as_itself = client.worker_session(stop.clone());
    let told = hello(&mut as_itself, name).await;
    print_error(format_args!("hostile: a session under its own name: {}", if told { "told" } else { "not told" }));
    for other in ["w", "w.default", "w.guests"] {
        let mut session = client.worker_session(stop.clone());
        let told = hello(&mut session, other).await;
        say(&format!("a session as {other}"), told.then_some(()).ok_or("it is told nothing"));
    }
    let store = RemoteKeyValue::new(&client);
    let bucket = std::env::var(BUCKET).unwrap_or_default();
    let (namespace, bucket) = bucket.split_once('/').unwrap_or(("default", "default"));
    let bucket = Bucket { namespace: namespace.to_owned(), name: bucket.to_owned() };
    say("read another's store", store.get(&bucket, vec!["greeting".to_owned()]).await);
    say("list another's store", store.list(&bucket, None, 10).await);
    say("write another's store", store.set(&bucket, vec![("greeting".to_owned(), "forged".into())]).await);
    say("count in another's store", store.increment(&bucket, "n".to_owned(), 1).await);
    say("delete in another's store", store.delete(&bucket, vec!["greeting".to_owned()]).await);
    if let Some(image) = std::env::var(IMAGE).ok().and_then(|image| image.parse::<Digest>().ok()) {
        say("fetch another's image", RemoteImages::new(&client).fetch(image).await);
    }
    let connect = AskedConnect::new(broker.clone());
    for host in ["127.0.0.1", "example.com"] {
        say(&format!("reach {host}"), connect.connect(host, 80, Reach::Any).await);
    }
    for (worker, socket) in
        [("docker", "/var/run/docker.sock"), ("w.default", "/run/w.default.sock"), ("w", "/etc/passwd")]
    {
        let wanted = Wanted::Worker { name: WorkerName(worker.into()), socket: socket.to_owned() };
        say(&format!("be led to {socket}"), broker.open(wanted).await);
    }
    stop.cancel();
}

/// Whether who says this name is told what to run.
async fn hello(session: &mut WorkerSide, name: &str) -> bool {
    let hello = WorkerHello {
        name: WorkerName(name.into()),
        capacity: Capacity { cpu_millis: 1000, memory_bytes: 1 << 30, replicas: 10 },
        labels: Default::default(),
        taints: Vec::new(),
        address: None,
        running: Vec::new(),
        cached: Vec::new(),
    };
    let told = async {
        session.tx.send(WorkerUp::Hello(hello)).await.map_err(io::Error::other)?;
        session.rx.recv().await.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))
    };
    timeout(PATIENCE, told).await.is_ok_and(|told| told.is_ok())
}
