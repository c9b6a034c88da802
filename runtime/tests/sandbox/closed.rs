use std::{
    fs::{self, File},
    io::{self, ErrorKind::PermissionDenied},
    process::Command,
    thread,
};

use rustix::{
    net::{AddressFamily, SocketType, socket},
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
