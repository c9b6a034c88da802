//! Ports for the processes that tests start.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::fs::MetadataExt,
    sync::Mutex,
};

/// Below those that systems give to connections, so that none takes one meanwhile.
const FIRST: u16 = 12_000;
const COUNT: u16 = 8_000;

/// What is taken here, until the end of the process.
static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// An address on this machine that nobody listens at, and that no other test is given while this process runs: each port has a
/// file, which is locked.
pub(crate) fn free_address() -> String {
    let user = fs::metadata("/proc/self").expect("proc").uid();
    let folder = std::env::temp_dir().join(format!("sampan-test-ports-{user}"));
    fs::create_dir_all(&folder).expect("a folder for locks");
    let mut taken = TAKEN.lock().expect("no other panicked");
    // Tests of several processes begin apart.
    let first = u16::try_from(std::process::id() % u32::from(COUNT)).expect("it is below").wrapping_mul(13);
    for step in 0..COUNT {
        let port = FIRST + first.wrapping_add(step) % COUNT;
        let file = File::create(folder.join(port.to_string())).expect("a lock");
        let address = format!("127.0.0.1:{port}");
        if file.try_lock().is_ok() && TcpListener::bind(&address).is_ok() {
            taken.push(file);
            return address;
        }
    }
    panic!("all ports from {FIRST} on are taken");
}

#[test]
fn no_port_is_given_twice() {
    let given: std::collections::BTreeSet<_> = (0..50).map(|_| free_address()).collect();
    assert_eq!(given.len(), 50);
}
