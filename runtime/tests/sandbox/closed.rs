use std::{
    fs::{self, File},
    io::{self, ErrorKind::PermissionDenied},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::{UnixDatagram, UnixListener, UnixStream},
    process::Command,
    thread,
};

use rustix::{
    net::{AddressFamily, SendFlags, SocketType, connect, connect_unspec, sendto, socket},
    process::{Signal, getppid, kill_process},
};

use crate::inside::Inside;

fn denied<T>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == PermissionDenied)
}

pub(crate) fn files(inside: &Inside) {
    let at = |path: &str| inside.dir.join(path);
    assert_eq!(fs::read_to_string(at("given/file")).unwrap(), "given");
    fs::write(at("own/new"), "new").unwrap();
    fs::rename(at("own/new"), at("own/file")).unwrap();
    assert_eq!(fs::read_to_string(at("own/file")).unwrap(), "new");
    if !inside.closes_files() {
        return;
    }
    assert!(denied(fs::read("/etc/passwd")));
    assert!(denied(fs::read(at("other/file"))));
    assert!(denied(fs::read_dir("/")));
    assert!(denied(fs::read("/proc/1/environ")));
    assert!(denied(File::create(at("given/new"))));
    assert!(denied(File::options().append(true).open(at("given/file"))));
    assert!(denied(File::create(at("other/new"))));
    assert!(denied(fs::remove_file(at("other/file"))));
    assert!(denied(fs::create_dir(at("new"))));
    // Neither do threads, which inherit it.
    assert!(thread::spawn(|| denied(fs::read("/etc/passwd"))).join().unwrap());
}

pub(crate) fn programs(inside: &Inside) {
    if inside.limits_calls() || inside.closes_files() {
        assert!(denied(Command::new("/bin/true").status()));
        assert!(thread::spawn(|| denied(Command::new("/bin/true").status())).join().unwrap());
    }
}

pub(crate) fn privileges(inside: &Inside) {
    check_privileges(inside);
    thread::scope(|scope| scope.spawn(|| check_privileges(inside)).join().unwrap());
}

fn check_privileges(inside: &Inside) {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(field(set).trim_start_matches('0'), "", "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Seccomp:"), if inside.limits_calls() { "2" } else { "0" });
}

pub(crate) fn kernel(inside: &Inside) {
    if !inside.limits_calls() {
        return;
    }
    for family in [AddressFamily::NETLINK, AddressFamily::PACKET, AddressFamily::VSOCK] {
        assert!(denied(socket(family, SocketType::DGRAM, None).map_err(io::Error::from)), "{family:?}");
    }
    let raw = socket(AddressFamily::INET, SocketType::RAW, None);
    assert!(denied(raw.map_err(io::Error::from)));
    assert!(denied(kill_process(getppid().unwrap(), Signal::WINCH).map_err(io::Error::from)));
}

pub(crate) fn network(inside: &Inside) {
    if inside.limits_calls() {
        check_network();
        thread::spawn(check_network).join().unwrap();
    }
}

fn check_network() {
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        for kind in [SocketType::STREAM, SocketType::DGRAM] {
            assert!(denied(socket(family, kind, None).map_err(io::Error::from)), "{family:?} {kind:?}");
        }
    }
    assert!(denied(TcpStream::connect("127.0.0.1:1")));
    assert!(denied(TcpListener::bind("127.0.0.1:0")));
    assert!(denied(UdpSocket::bind("127.0.0.1:0")));
    // Neither sockets of this machine, which Landlock does not close.
    for kind in [SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET] {
        assert!(denied(socket(AddressFamily::UNIX, kind, None).map_err(io::Error::from)), "{kind:?}");
    }
    assert!(denied(UnixStream::connect("/run/systemd/notify")));
    assert!(denied(UnixListener::bind("own.sock")));
    assert!(denied(UnixDatagram::pair()));
    UnixStream::pair().unwrap();
}

pub(crate) fn passed(inside: &Inside) {
    let (passed, elsewhere) = &inside.passed;
    if inside.limits_calls() {
        assert!(denied(connect_unspec(passed).map_err(io::Error::from)));
    }
    if inside.limits_calls() {
        assert_eq!(sendto_fast(passed, elsewhere), Some(PermissionDenied));
    }
    if inside.closes_all() {
        assert!(denied(connect(passed, elsewhere).map_err(io::Error::from)));
    }
}

/// Connects with the first bytes, of which Landlock knows nothing.
fn sendto_fast(socket: &TcpStream, to: &std::net::SocketAddr) -> Option<io::ErrorKind> {
    let fast = SendFlags::from_bits_retain(libc::MSG_FASTOPEN as u32);
    sendto(socket, b"x", fast, to).err().map(|error| io::Error::from(error).kind())
}
