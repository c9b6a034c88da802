//! Who reads what a registry sends: a process of its own, which has nothing to lose.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    client::Client,
    registry::{Peer, deploy, push, settings},
    sampan::{Sampan, command, guest, signal, succeed, wait_for},
};

/// What of an answer passes while a [`Way`] is closed: its head, and the begin of a large blob.
const PASSES_BYTES: usize = 8 << 20;
/// By how much a large component is larger than another: with it, it is almost as large as one may be.
const LARGE_BYTES: usize = 60 << 20;

/// A way to a registry that bytes take as they are.
struct Way {
    address: String,
    taken: Arc<AtomicUsize>,
    /// No more than the begin of an answer passes.
    is_closed: Arc<AtomicBool>,
}

impl Way {
    fn to(registry: &Peer, from: &str) -> Self {
        let listener = TcpListener::bind(from).expect("a free port");
        let address = listener.local_addr().expect("a bound socket").to_string();
        let way = Self { address, taken: Arc::default(), is_closed: Arc::default() };
        let (to, taken, is_closed) = (registry.address.clone(), way.taken.clone(), way.is_closed.clone());
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                taken.fetch_add(1, Ordering::SeqCst);
                let far = TcpStream::connect(&to).expect("the registry listens");
                let (asking, asked) = (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
                thread::spawn(move || pass(asking, asked, &AtomicBool::new(false)));
                let is_closed = is_closed.clone();
                thread::spawn(move || pass(far, near, &is_closed));
            }
        });
        way
    }

    fn port(&self) -> &str {
        self.address.rsplit(':').next().expect("a port")
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, is_closed: &AtomicBool) {
    let (mut passed, mut bytes) = (0, [0; 4096]);
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        while passed > PASSES_BYTES && is_closed.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
        passed += length;
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Pushes `hello` with a section that means nothing, which makes it large.
fn push_large(folder: &Path, image: &str) {
    let mut component = fs::read(guest("hello")).expect("a component");
    let name = b"\x07padding";
    component.push(0);
    let mut length = LARGE_BYTES + name.len();
    while length > 0x7f {
        component.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    component.push(length as u8);
    component.extend_from_slice(name);
    component.resize(component.len() + LARGE_BYTES, 0);
    let file = folder.join("large.wasm");
    fs::write(&file, component).expect("a file");
    let pushed = command(&["push", file.to_str().expect("UTF-8"), image]).arg("--data-dir").arg(folder).output();
    succeed("sampan push", pushed.expect("the sampan program starts"));
}

/// The processes by which a server pulls now.
fn pull_processes(sampan: &Sampan) -> BTreeSet<u32> {
    let parent = format!("PPid:\t{}\n", sampan.id());
    let pulls = |id: u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("pull-process")
            && fs::read_to_string(format!("/proc/{id}/status")).is_ok_and(|status| status.contains(&parent))
    };
    let processes = fs::read_dir("/proc").expect("proc");
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| pulls(*id)).collect()
}

/// What is in the store that is no whole blob, and how large it is.
fn partial(data_dir: &Path) -> Vec<(String, u64)> {
    let blobs = fs::read_dir(data_dir.join("images/blobs/sha256")).expect("the store");
    let name_and_size = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        Some((name, entry.metadata().ok()?.len()))
    };
    let all = blobs.filter_map(|entry| name_and_size(entry.expect("an entry")));
    all.filter(|(name, _)| name.starts_with('.')).collect()
}

#[test]
fn a_process_that_a_registry_has_taken_over_while_it_pulls_reaches_nothing_of_others() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let registry = Peer::start(theirs.path());
    let image = format!("{}/shop/hello:v1", registry.address);
    push(theirs.path(), &image);
    let dir = ours.path().to_str().expect("UTF-8").to_owned();
    let sampan = Sampan::start_with(ours.path(), &["up"], &[("SAMPAN_HOSTILE_PULLS", dir)]);
    deploy(&sampan, &image);
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
    let printed = sampan.output();
    let tried: Vec<&str> = printed.lines().filter(|line| line.starts_with("hostile: ")).collect();
    assert!(tried.contains(&"hostile: done"), "it has pulled, and tried before: {printed}");
    let open: Vec<&&str> = tried.iter().filter(|line| line.ends_with(": open")).collect();
    assert!(open.is_empty(), "open to it: {open:#?}");
    let closed = tried.iter().filter(|line| line.contains(": closed (")).count();
    assert!(closed > 80, "{closed} of {tried:#?}");
    assert!(!tried.contains(&"hostile: no socket for names"));
    // What it pulled is what it should be all the same.
    assert_eq!(Client::new(&sampan.http, Some("hello.default.localhost")).get("/").status, 200);
}

#[test]
fn a_process_that_is_killed_while_it_pulls_ends_that_pull_alone_which_says_so_and_is_tried_again() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let registry = Peer::start(theirs.path());
    let way = Way::to(&registry, "127.0.0.1:0");
    way.is_closed.store(true, Ordering::SeqCst);
    push_large(theirs.path(), &format!("{}/shop/hello:v1", registry.address));
    let sampan = Sampan::up(ours.path());
    let image = format!("{}/shop/hello:v1", way.address);
    deploy(&sampan, &image);
    // Both the first, and one that goes on where it was.
    let mut killed = BTreeSet::new();
    for _ in 0..2 {
        let id = wait_for("a process has begun to fetch the component", || {
            let new = pull_processes(&sampan).into_iter().find(|id| !killed.contains(id));
            new.filter(|_| partial(ours.path()).iter().any(|(_, bytes)| *bytes > 1 << 20))
        });
        signal("KILL", id);
        killed.insert(id);
        wait_for("it is told what happened, and of which image", || {
            let events = sampan.kubectl_ok(&["get", "events", "-o", "jsonpath={.items[*].message}"]);
            (events.contains(&format!("cannot pull `{image}`")) && events.contains("ended with signal: 9"))
                .then_some(())
        });
    }
    assert!(!sampan.cli_ok(&["images"]).contains(&image), "what has not come is no image");
    // The server goes on with what others want, also from the same registry.
    let other = format!("{}/shop/other:v1", registry.address);
    push(theirs.path(), &other);
    sampan.kubectl_ok(&["create", "namespace", "other"]);
    sampan.kubectl_ok(&["create", "deployment", "hello", "-n", "other", &format!("--image={other}")]);
    sampan.kubectl_ok(&["rollout", "status", "deployment/hello", "-n", "other"]);

    way.is_closed.store(false, Ordering::SeqCst);
    sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
    assert_eq!(Client::new(&sampan.http, Some("hello.default.localhost")).get("/").status, 200);
    wait_for("nothing of it is left behind", || {
        (pull_processes(&sampan).is_empty() && partial(ours.path()).is_empty()).then_some(())
    });
}

#[test]
fn images_come_through_the_proxy_of_the_environment_and_over_ipv6() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let registry = Peer::start(theirs.path());
    push(theirs.path(), &format!("{}/shop/hello:v1", registry.address));
    push(theirs.path(), &format!("{}/shop/other:v1", registry.address));
    let (proxy, six) = (Way::to(&registry, "127.0.0.1:0"), Way::to(&registry, "[::1]:0"));
    let near = format!("[::1]:{}", six.port());
    let file = settings(
        ours.path(),
        &format!(
            "[registry.\"registry.invalid\"]\nplain-http = true\n[registry.\"mirrored.invalid\"]\nmirrors = [\"{near}\"]\n"
        ),
    );
    let variables = [("HTTP_PROXY", format!("http://{}", proxy.address)), ("NO_PROXY", "::1,127.0.0.1".to_owned())];
    let sampan = Sampan::start_with(ours.path(), &["up", "--registries", &file], &variables);
    for (name, way) in [("registry.invalid/shop/hello:v1", &proxy), ("mirrored.invalid/shop/other:v1", &six)] {
        deploy(&sampan, name);
        sampan.cli_ok(&["rollout", "status", "deployment/hello"]);
        assert!(way.taken.load(Ordering::SeqCst) > 0, "{name} did not come as it should");
    }
}
