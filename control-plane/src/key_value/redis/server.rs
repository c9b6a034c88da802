//! A real Redis for tests.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(30);

/// A Redis with a directory of its own, at a Unix socket in it. Killed when dropped.
pub(in crate::key_value) struct Server {
    dir: PathBuf,
    flags: Vec<String>,
    child: Child,
}

impl Server {
    /// As README.md says that it be set up.
    pub(in crate::key_value) fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    /// The same, with further settings.
    pub(in crate::key_value) fn start_with(dir: &Path, flags: &[&str]) -> Self {
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let server = Self { dir: dir.to_owned(), child: spawn(dir, &flags), flags };
        server.wait();
        server
    }

    pub(in crate::key_value) fn url(&self) -> String {
        format!("redis+unix://{}", socket(&self.dir).display())
    }

    /// Ends it as a power cut of its process does.
    pub(in crate::key_value) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again.
    pub(in crate::key_value) fn restart(&mut self) {
        self.child = spawn(&self.dir, &self.flags);
        self.wait();
    }

    /// Sends it a signal.
    pub(in crate::key_value) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&self) {
        let began = Instant::now();
        while std::os::unix::net::UnixStream::connect(socket(&self.dir)).is_err() {
            assert!(began.elapsed() < PATIENCE, "redis-server does not listen");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("redis.sock")
}

fn spawn(dir: &Path, flags: &[String]) -> Child {
    let started = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always"])
        .arg("--unixsocket")
        .arg(socket(dir))
        .arg("--dir")
        .arg(dir)
        .args(flags)
        .stdout(Stdio::null())
        .spawn();
    started.expect("redis-server is there: `scripts/setup test` installs it")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
