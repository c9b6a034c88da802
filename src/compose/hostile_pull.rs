//! In builds for tests alone: a pull process that does what a registry could that has taken it over. It was started as any other and
//! has given up what any other gives up; then it tries what must not be possible, and says what was. In the end it pulls.

use std::{
    fs,
    io::Read,
    net::{TcpListener, UdpSocket},
    os::unix::net::{UnixDatagram, UnixListener, UnixStream},
    path::{Path, PathBuf},
};

use registry_client::serve_pull_after;

use super::{
    hostile::{processes, say},
    pulling::confine,
};
use crate::terminal::print_error;

/// Tries everything on what is in this data directory, and prints a line of each (`hostile: WHAT: open` or `closed`).
pub(crate) fn pull_as_if_taken_over(data_dir: PathBuf) -> anyhow::Result<()> {
    Ok(serve_pull_after(confine, || {
        files(&data_dir);
        processes();
        environment();
        sockets(&data_dir);
        print_error("hostile: done");
    })?)
}

fn files(root: &Path) {
    let dirs = ["", "api", "run", "images", "images/blobs/sha256", "cache", "cluster"].map(|name| root.join(name));
    for dir in dirs.into_iter().chain(["/etc", "/tmp", "/home", "/root", "/"].map(PathBuf::from)) {
        let shown = dir.display().to_string();
        say(&format!("list {shown}"), fs::read_dir(&dir));
        say(&format!("write in {shown}"), fs::write(dir.join("planted"), "x"));
        say(&format!("make a directory in {shown}"), fs::create_dir(dir.join("more")));
        say(&format!("link in {shown}"), std::os::unix::fs::symlink("/etc/passwd", dir.join("link")));
    }
    let known = [
        "api/token",
        "cluster/ca.key",
        "cluster/ca.pem",
        "kubeconfig",
        "state.redb",
        "keyvalue.redb",
        "cache/key",
        "images/index.json",
        "images/oci-layout",
    ];
    let others = ["/etc/passwd", "/etc/shadow", "/proc/1/environ", "/proc/self/exe"].map(PathBuf::from);
    for file in known.map(|name| root.join(name)).into_iter().chain(others) {
        let shown = file.display().to_string();
        // Its own program it may read by that name, as it runs it, but not change.
        if file != Path::new("/proc/self/exe") {
            say(&format!("read {shown}"), fs::File::open(&file).and_then(|mut file| file.read(&mut [0])));
        }
        say(&format!("change {shown}"), fs::File::options().append(true).open(&file));
        say(&format!("remove {shown}"), fs::remove_file(&file));
    }
}

fn environment() {
    // What it has of the environment says where proxies are, and nothing else.
    let others = std::env::vars_os().map(|(name, _)| name.to_string_lossy().to_lowercase());
    let others: Vec<_> = others.filter(|name| !name.ends_with("_proxy") && !name.starts_with("ssl_cert_")).collect();
    say("see the environment", if others.is_empty() { Err("none") } else { Ok(()) });
}

fn sockets(root: &Path) {
    say("connect to control.sock", UnixStream::connect(root.join("run/control.sock")));
    say("listen at a path", UnixListener::bind("planted.sock"));
    say("a socket of datagrams", UnixDatagram::unbound());
    say("listen on the network", TcpListener::bind("127.0.0.1:0"));
    // Resolvers have such a one.
    if UdpSocket::bind("127.0.0.1:0").is_err() {
        print_error("hostile: no socket for names");
    }
}
