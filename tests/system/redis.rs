//! A Redis as the book says that it be set up.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::sampan::{free_address, succeed, wait_for};

/// What opens it.
pub(crate) const PASSWORD: &str = "open-sesame";

/// Killed when dropped.
pub(crate) struct Redis {
    child: Child,
    port: String,
    /// Holds its URL.
    pub(crate) url_file: PathBuf,
}

impl Redis {
    /// Starts one with its files in this folder.
    pub(crate) fn start(folder: &Path) -> Self {
        let address = free_address();
        let port = address.rsplit(':').next().expect("a port").to_owned();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--requirepass", PASSWORD])
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is there: `scripts/setup test` installs it");
        let url_file = folder.join("redis-url");
        fs::write(&url_file, format!("redis://:{PASSWORD}@{address}\n")).expect("a file");
        let redis = Self { child, port, url_file };
        wait_for("Redis answers", || redis.cli(&["PING"]).status.success().then_some(()));
        redis
    }

    /// For a command line.
    pub(crate) fn url_file(&self) -> &str {
        self.url_file.to_str().expect("UTF-8")
    }

    /// What a command of Redis' own answers.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        succeed(&command.join(" "), self.cli(command)).trim().to_owned()
    }

    fn cli(&self, command: &[&str]) -> std::process::Output {
        let cli = Command::new("redis-cli")
            .args(["-e", "-p", &self.port])
            .args(command)
            .env("REDISCLI_AUTH", PASSWORD)
            .output();
        cli.expect("redis-cli is there")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
