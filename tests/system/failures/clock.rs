//! Clocks that are set wrong, by libfaketime: each process is told a time that is off by what a file says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{
    Cluster, HOST, assert_none_failed,
    control_plane::{deploy, identities},
    load::{Kind, Load},
    start_worker, worker_command,
};
use crate::sampan::Role;

/// How long each time holds: longer than the time after which a worker that says nothing is given up.
const LASTS: Duration = Duration::from_secs(5);
/// How long the token of a short life holds.
const SHORT: Duration = Duration::from_secs(30);
/// Requests a second.
const RATE: f64 = 100.0;

/// A clock that can be set, of processes that are started by it.
#[derive(Clone)]
pub(super) struct Clock {
    library: PathBuf,
    offset: PathBuf,
}

impl Clock {
    /// A clock that is right. `None` where the library is not installed.
    fn new(folder: &Path) -> Option<Self> {
        let library = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
        let library = library.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|it| it.exists())?;
        let clock = Self { library, offset: folder.join("clock") };
        clock.set("+0");
        Some(clock)
    }

    fn set(&self, offset: &str) {
        let new = self.offset.with_extension("new");
        fs::write(&new, offset).expect("a file");
        fs::rename(&new, &self.offset).expect("the same folder");
    }

    /// Only the time of day is told wrong: time that has passed is measured by a clock that nobody sets.
    pub(super) fn show(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.offset)
            .env("FAKETIME_CACHE_DURATION", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
    }
}

#[test]
fn a_clock_that_jumps_by_an_hour_evicts_nothing_and_ends_no_token_before_its_time_or_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(clock) = Clock::new(folder.path()) else {
        eprintln!("not tested here: libfaketime is not installed");
        return;
    };
    // The sandbox would close the file that says what time it is.
    let worker: &[&str] = &["--no-sandbox"];
    let cluster = Cluster::start_at(folder.path(), &[worker; 2], &[], Some(&clock));
    deploy(&cluster, 4);
    let before = identities(&cluster);
    let long = cluster.cli(&["token", "create", "--uses", "9"]);
    let short = cluster.cli(&["token", "create", "--uses", "9", "--ttl", &format!("{}s", SHORT.as_secs())]);
    let made = Instant::now();
    let load = Load::start(&cluster.http, HOST, RATE, &[Kind::Get, Kind::Put]);

    let mut joined = Vec::new();
    for (name, offset) in [("ahead", "+3600"), ("behind", "-3600")] {
        clock.set(offset);
        thread::sleep(LASTS);
        let nodes = cluster.cli(&["get", "nodes"]);
        assert!(nodes.lines().skip(1).all(|line| line.contains(" Ready ")), "{offset}: {nodes}");
        assert_eq!(identities(&cluster), before, "{offset}: nothing was evicted or restarted");
        for (token, name) in [(&long, format!("{name}-long")), (&short, format!("{name}-short"))] {
            fs::write(folder.path().join("token"), token).expect("a token file");
            assert!(made.elapsed() < SHORT, "this machine is too slow for a token of {SHORT:?}");
            joined.push(start_worker(folder.path(), &cluster.sessions, &name));
        }
    }
    // An hour behind, it ends when it would have.
    thread::sleep(SHORT.saturating_sub(made.elapsed()));
    fs::write(folder.path().join("token"), &short).expect("a token file");
    let late = Role::start(worker_command(folder.path(), &cluster.sessions, "late"));
    late.wait_for_output("the join token has ended");
    assert_none_failed(&load.stop());
    assert_eq!(identities(&cluster), before);
}
