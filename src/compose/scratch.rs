use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
};

use anyhow::Context;
use tempfile::TempDir;

use crate::errors::HintExt;

/// How directories of this kind are called.
const PREFIX: &str = "sampan-run-";
/// Locked by the process that uses the directory.
const LOCK: &str = "lock";

/// A directory that is gone with its process, or with the next one that makes such a directory if it was killed.
pub(super) struct Scratch {
    dir: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes one for this user alone, where the system keeps what may go.
    pub(super) fn make() -> anyhow::Result<Self> {
        let all = std::env::temp_dir();
        sweep(&all);
        let made = || {
            let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&all)?;
            // It has its name once it is locked, so that nobody takes it for one that was left.
            let unlocked = dir.path().join("unlocked");
            let lock = File::create(&unlocked)?;
            lock.lock()?;
            fs::rename(unlocked, dir.path().join(LOCK))?;
            Ok::<_, std::io::Error>(Self { dir, _lock: lock })
        };
        made()
            .with_context(|| format!("no directory can be made in {}", all.display()))
            .hint("name another place with the environment variable TMPDIR: what is compiled is kept there meanwhile")
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes what processes of this user left here that were killed.
fn sweep(all: &Path) {
    let user = rustix::process::geteuid().as_raw();
    let entries = fs::read_dir(all).into_iter().flatten().filter_map(Result::ok);
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let path = entry.path();
        // Not a link, and not another user's.
        let is_ours = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir() && found.uid() == user);
        let is_left = || File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_ours && is_left() {
            // Another process may be at the same.
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_swept_and_what_is_used_stays() {
        let all = tempfile::tempdir().unwrap();
        let (left, used, other) =
            (all.path().join("sampan-run-a"), all.path().join("sampan-run-b"), all.path().join("others"));
        for dir in [&left, &used, &other] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join(LOCK), "").unwrap();
        }
        let lock = File::open(used.join(LOCK)).unwrap();
        lock.lock().unwrap();
        sweep(all.path());
        assert!(!left.exists() && used.exists() && other.exists());
    }
}
