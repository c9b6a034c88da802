//! A real Redis for tests.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(30);

/// A Redis with a directory of its own, at a Unix socket in it. Killed when dropped.
pub(crate) struct Server {
    dir: PathBuf,
    flags: Vec<String>,
    child: Child,
}

impl Server {
    /// As `docs/src/how-to/store-data-in-redis.md` says that it be set up.
    pub(crate) fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    /// The same, with further settings.
    pub(crate) fn start_with(dir: &Path, flags: &[&str]) -> Self {
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let server = Self { dir: dir.to_owned(), child: spawn(dir, &flags), flags };
        server.wait();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", socket(&self.dir).display())
    }

    /// Ends it as a power cut of its process does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.dir, &self.flags);
        self.wait();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = UnixStream::connect(socket(&self.dir)) else { return false };
        let mut answer = [0; 64];
        let asked = stream.write_all(b"PING\r\n").and_then(|()| stream.read(&mut answer));
        asked.is_ok_and(|length| is_up(&answer[..length]))
    }

    fn wait(&self) {
        let began = Instant::now();
        while !self.answers() {
            assert!(began.elapsed() < PATIENCE, "redis-server does not answer");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether what it answers is no refusal while it still loads what it has kept: a password may be missing.
fn is_up(answer: &[u8]) -> bool {
    !answer.is_empty() && !answer.starts_with(b"-LOADING")
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
