//! In builds for tests alone: a worker's process that does what a guest would that has broken out of its own sandbox. It was started
//! as any other and has given up what any other gives up; then it tries what must not be possible, and says what was.

use std::{
    fs::{self, File},
    io::{self, IoSlice, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd},
        unix::{fs::PermissionsExt, net::UnixStream as BlockingStream},
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use api::{
    Bucket, Digest, FetchImage, KeyValue, OpenArtifact, WorkerName,
    outbound::{Connect, Reach},
    session::{Capacity, WorkerDown, WorkerHello, WorkerSide, WorkerUp},
};
use rustix::{
    fs::{MemfdFlags, memfd_create},
    io::Errno,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use transport::{
    AskedArtifacts, AskedConnect, BrokerClient, ControlPlaneClient, ControlPlaneWay, RemoteImages, RemoteKeyValue,
    Wanted,
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

/// Says whether it could be done, for the test that reads it.
pub(super) fn say<T, E: std::fmt::Display>(what: &str, tried: Result<T, E>) {
    match tried {
        Ok(_) => print_error(format_args!("hostile: {what}: open")),
        Err(why) => print_error(format_args!("hostile: {what}: closed ({why})")),
    }
}

fn files(root: &Path, own: &Path) {
    let others = |name: &str| root.join(name);
    let dirs =
        ["", "run", "images", "images/blobs", "images/blobs/sha256", "cache", "cluster", "identity", "processes"];
    for dir in dirs.into_iter().chain(["processes/w.default/cache"]).map(others) {
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
    files.push(own.join("cache/key"));
    files.push(others("identity/worker-w.pem"));
    files.extend(["/etc/passwd", "/etc/shadow", "/proc/1/environ"].map(PathBuf::from));
    let planted = own.join("cache/planted");
    // Its own directory, which it sees.
    say("write in its own directory", fs::write(own.join("cache/planted"), "x"));
    say("make a directory in its own", fs::create_dir(own.join("cache/more")));
    say("widen its own directory", fs::set_permissions(own.join("cache"), fs::Permissions::from_mode(0o777)));
    for file in files {
        let shown = file.display().to_string();
        say(&format!("read {shown}"), fs::File::open(&file).and_then(|mut file| file.read(&mut [0])));
        say(&format!("replace {shown}"), fs::write(&planted, "x").and_then(|()| fs::rename(&planted, &file)));
        say(&format!("remove {shown}"), fs::remove_file(&file));
        say(&format!("link {shown}"), fs::hard_link(&file, own.join("cache/stolen")));
    }
}

/// Tries what must not be possible to any process here, whoever has taken it over.
pub(super) fn processes() {
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
    print_error(format_args!(
        "hostile: a session under its own name: {}",
        if told.is_some() { "told" } else { "not told" }
    ));
    for other in ["w", "w.default", "w.guests"] {
        let mut session = client.worker_session(stop.clone());
        let told = hello(&mut session, other).await.is_some();
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
    if let Some(WorkerDown::Start(spec) | WorkerDown::Standby(spec)) = told {
        artifacts(broker, &spec.id.0.namespace, &spec.digest).await;
    }
    if let Some(image) = std::env::var(IMAGE).ok().and_then(|image| image.parse::<Digest>().ok()) {
        say("fetch another's image", RemoteImages::new(&client).fetch(image.clone()).await);
        say("be lent another's artifact", lent_of(broker, namespace, &image).await);
    }
    let connect = AskedConnect::new(broker.clone());
    for host in ["127.0.0.1", "example.com"] {
        say(&format!("reach {host}"), connect.connect(Some(namespace), host, 80, Reach::Any).await);
    }
    for (worker, socket) in
        [("docker", "/var/run/docker.sock"), ("w.default", "/run/w.default.sock"), ("w", "/etc/passwd")]
    {
        let wanted = Wanted::Worker { name: WorkerName(worker.into()), socket: socket.to_owned() };
        say(&format!("be led to {socket}"), broker.open(wanted).await);
    }
    stop.cancel();
}

async fn lent_of(broker: &BrokerClient, namespace: &str, image: &Digest) -> Result<File, String> {
    AskedArtifacts::new(broker.clone()).open_artifact(namespace, "x", image).await.map_err(|why| why.message)
}

/// What was compiled of its own image it is lent. It is to change nothing of it, have nothing of its own making taken in its place,
/// and reach no other file by who lends it.
async fn artifacts(broker: &BrokerClient, namespace: &str, digest: &Digest) {
    let lent = match lent_of(broker, namespace, digest).await {
        Ok(lent) => lent,
        Err(why) => return print_error(format_args!("hostile: its own artifact is not lent: {why}")),
    };
    print_error("hostile: its own artifact: lent");
    let path = PathBuf::from(format!("/proc/self/fd/{}", lent.as_raw_fd()));
    let named = fs::read_link(&path).unwrap_or_default();
    for path in [&path, &named] {
        let shown = path.display();
        say(&format!("open {shown} to write"), File::options().write(true).open(path));
        say(&format!("empty {shown}"), File::options().write(true).truncate(true).open(path));
        say(&format!("widen {shown}"), fs::set_permissions(path, fs::Permissions::from_mode(0o777)));
        say(&format!("remove {shown}"), fs::remove_file(path));
        say(&format!("link {shown}"), fs::hard_link(path, named.with_extension("more")));
    }
    say("write to what it was lent", (&lent).write(b"x"));
    say("shorten what it was lent", lent.set_len(0));
    say("widen what it was lent", lent.set_permissions(fs::Permissions::from_mode(0o777)));
    say("say that it is older", lent.set_modified(SystemTime::UNIX_EPOCH));
    // An artifact of its own making comes along.
    let made = memfd_create("made", MemfdFlags::CLOEXEC).map(File::from);
    let made = made.and_then(|mut made| made.write_all(b"\x7fELF of its own").map(|()| made).map_err(|_| Errno::IO));
    for asked in [
        "/etc/passwd",
        "../../../cache/key",
        "key",
        "sha256:../../../cache/key",
        "keep",
        digest.as_str(),
        &"a".repeat(9000),
    ] {
        let Ok(made) = &made else { return print_error("hostile: nothing could be made") };
        let Ok(desk) = broker.open(Wanted::Artifact).await else { continue };
        let asking = SendAncillaryMessage::ScmRights(&[made.as_fd()]);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        beside.push(asking);
        let question = format!("{asked} {namespace}");
        let _ = sendmsg(&desk, &[IoSlice::new(question.as_bytes())], &mut beside, SendFlags::NOSIGNAL);
        let mut answer = vec![0; 1 << 10];
        let answered = BlockingStream::from(desk).read(&mut answer);
        let answer = String::from_utf8_lossy(&answer[..answered.unwrap_or_default()]).into_owned();
        let shown = asked.get(..100).unwrap_or(asked);
        // What is its own it is lent again, as it was compiled: the test sees whether it is what it was.
        if asked != digest.as_str() {
            say(&format!("be lent {shown}"), if answer == "opened" { Ok(()) } else { Err(answer) });
        }
    }
}

/// What who says this name is told first.
async fn hello(session: &mut WorkerSide, name: &str) -> Option<WorkerDown> {
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
    timeout(PATIENCE, told).await.ok()?.ok()
}
