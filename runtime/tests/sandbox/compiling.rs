use std::{
    env, fs,
    io::{self, BufRead, BufReader, ErrorKind, Read, Seek},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use api::{OpenArtifact, replica::ReplicaPhase};
use registry_client::ImageStore;
use runtime::{Code, Compile, CompileServer};
use rustix::{
    fs::{MemfdFlags, memfd_create},
    process::{Signal, getppid, kill_process},
};

use crate::{
    fakes,
    fleet::{PATIENCE, guest},
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

/// What a component does that has taken over what compiles it: it tries to leave, and gives back as its artifact what it could.
pub(crate) fn escape(_: &[u8]) -> Result<Vec<u8>, String> {
    let mut open = Vec::new();
    let mut tried = |what: String, is_open: bool| open.extend(is_open.then_some(what));
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let known = ["/etc/passwd", "/dev/null", "/dev/urandom", "/proc/self/status", "/proc/self/mem", "/proc/self/exe"];
    for file in known.iter().map(Path::new).chain([here.join("Cargo.toml").as_path()]) {
        tried(format!("read {}", file.display()), fs::File::open(file).is_ok());
        tried(format!("see {}", file.display()), fs::metadata(file).is_ok());
    }
    for dir in [Path::new("/"), Path::new("/proc/self/fd"), Path::new("/tmp"), here] {
        tried(format!("list {}", dir.display()), fs::read_dir(dir).is_ok());
        tried(format!("write in {}", dir.display()), fs::write(dir.join("planted"), "x").is_ok());
    }
    let kind = |result: io::Result<()>| result.map_err(|error| error.kind());
    tried("a program".into(), Command::new("/bin/true").status().is_ok());
    tried("to listen".into(), TcpListener::bind("127.0.0.1:0").is_ok());
    tried("the network".into(), kind(TcpStream::connect("127.0.0.1:1").map(drop)) == Err(ErrorKind::ConnectionRefused));
    tried("datagrams".into(), UdpSocket::bind("127.0.0.1:0").is_ok());
    tried("sockets".into(), kind(UnixStream::connect("/run/nothing").map(drop)) == Err(ErrorKind::NotFound));
    tried("pairs of sockets".into(), UnixStream::pair().is_ok());
    tried("signals".into(), getppid().is_some_and(|parent| kill_process(parent, Signal::WINCH).is_ok()));
    tried("memory without limit".into(), memfd_create("more", MemfdFlags::CLOEXEC).is_ok());
    // Beside standard output and error: the component, its artifact, and what tells its end. Not the server's, by which it is asked.
    let descriptors = (0..1024).filter(|descriptor| ![1, 2].contains(descriptor) && is_open(*descriptor)).count();
    tried(format!("{descriptors} descriptors"), descriptors != 3);
    Ok(format!("open: {open:?}").into_bytes())
}

#[allow(unsafe_code, reason = "nobody owns what may be no descriptor at all")]
fn is_open(descriptor: i32) -> bool {
    // SAFETY: it changes nothing.
    unsafe { libc::fcntl(descriptor, libc::F_GETFD) >= 0 }
}

pub(crate) fn escapes_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let images = ImageStore::open(dir.path().join("images")).unwrap();
    let image = images.put_component("probe:test", guest("probe").into()).unwrap();
    let compile = Compile::Server(inside::hostile_server());
    let mut said = String::new();
    block_on(async {
        let artifacts = fakes::artifacts(&images, &dir.path().join("compiled"), compile);
        let mut artifact = artifacts.open_artifact("default", "probe:test", &image.digest).await.unwrap();
        artifact.rewind().unwrap();
        artifact.read_to_string(&mut said).unwrap();
    });
    assert_eq!(said, "open: []");
}

/// Of two builds of a script, the interpreter is compiled once, and nothing else is written.
pub(crate) fn divides() {
    let dir = tempfile::tempdir().unwrap();
    let images = ImageStore::open(dir.path().join("images")).unwrap();
    let (compiled, compile) = (dir.path().join("compiled"), Compile::Server(inside::server(1 << 30)));
    let artifacts = fakes::artifacts_of(&images, &compiled, compile, Code::Unoptimized);
    block_on(async {
        for letter in ["a", "b"] {
            let script = letter.repeat(300_000);
            let component = format!(
                "(component (core module (memory 10) (data (i32.const 0) \"{script}\"))
                    (instance $i) (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))"
            );
            let image = images.put_component("script:test", wat::parse_str(component).unwrap().into()).unwrap();
            artifacts.open_artifact("default", "script:test", &image.digest).await.unwrap();
            let names = fs::read_dir(&compiled).unwrap().map(|entry| entry.unwrap().path());
            assert_eq!(names.filter(|path| path.extension().is_some_and(|kind| kind == "cwasm")).count(), 1);
        }
    });
}

pub(crate) fn dead_server(inside: &Inside) {
    block_on(async {
        let why = failure(inside, &inside.dead_server).await;
        assert!(why.contains("it has ended with") && why.contains("cannot be started"), "{why}");
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
