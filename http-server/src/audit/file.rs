//! The file of the audit log: whole lines, in files of a bounded size and number.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use jiff::{Timestamp, tz::TimeZone};

use super::AuditSettings;

/// After a failure, how long nothing is tried.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often it is looked whether the file is still at its path, which others may rename.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How far back from its end a line that was cut off is looked for.
const MAX_TORN_BYTES: u64 = 64 << 10;
/// When a file was renamed, in its name.
const TIME: &str = "%Y-%m-%dT%H-%M-%S%.3f";

type Open = Box<dyn FnMut(&Path) -> io::Result<File> + Send>;

/// A file that is appended to, and rotated.
pub(super) struct Rotated {
    settings: AuditSettings,
    open: Open,
    current: Option<Current>,
    retry_at: Option<Instant>,
}

struct Current {
    file: File,
    /// Whole lines.
    bytes: u64,
    identity: (u64, u64),
    looked: Instant,
}

impl Rotated {
    /// Opens the file, or makes it, readable for its owner alone.
    pub(super) fn open(settings: AuditSettings) -> io::Result<Self> {
        Self::open_by(settings, Box::new(open_private))
    }

    fn open_by(settings: AuditSettings, open: Open) -> io::Result<Self> {
        let mut rotated = Self { settings, open, current: None, retry_at: None };
        rotated.reopen()?;
        Ok(rotated)
    }

    pub(super) fn path(&self) -> &Path {
        &self.settings.path
    }

    /// Writes whole lines, or nothing of them. After a failure the file is opened anew.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return Err(io::Error::other("it could not be written a moment ago"));
        }
        let written = self.try_append(lines);
        self.retry_at = written.is_err().then(|| Instant::now() + RETRY_AFTER);
        if written.is_err() {
            self.current = None;
        }
        written
    }

    fn try_append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.look();
        if self.current.is_none() {
            self.reopen()?;
        }
        let full = self
            .current
            .as_ref()
            .is_some_and(|current| current.bytes > 0 && current.bytes + lines.len() as u64 > self.settings.max_bytes);
        if full {
            self.rotate()?;
        }
        let Some(current) = &mut self.current else { return Err(io::Error::other("it is not open")) };
        let written = current.file.write_all(lines);
        match written {
            Ok(()) => current.bytes += lines.len() as u64,
            // Half a line would be none.
            Err(_) => drop(current.file.set_len(current.bytes)),
        }
        written
    }

    fn reopen(&mut self) -> io::Result<()> {
        let mut file = (self.open)(&self.settings.path)?;
        let bytes = without_torn_line(&mut file)?;
        let metadata = file.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        self.current = Some(Current { file, bytes, identity, looked: Instant::now() });
        Ok(())
    }

    /// Lets go of a file that somebody has renamed or removed.
    fn look(&mut self) {
        let Some(current) = self.current.as_mut().filter(|current| current.looked.elapsed() >= LOOK_EVERY) else {
            return;
        };
        current.looked = Instant::now();
        let there = fs::metadata(&self.settings.path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
        if there != Some(current.identity) {
            self.current = None;
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.current = None;
        let now = Timestamp::now();
        let mut backup = self.backup(now);
        // Several in one millisecond.
        let mut later = now;
        while backup.exists() {
            later += Duration::from_millis(1);
            backup = self.backup(later);
        }
        fs::rename(&self.settings.path, backup)?;
        self.reopen()?;
        if let Err(error) = self.remove_old() {
            tracing::warn!(%error, file = %self.settings.path.display(), "older files of the audit log could not be removed");
        }
        Ok(())
    }

    /// `audit-2026-01-31T23-59-59.123.log`, beside `audit.log`.
    fn backup(&self, at: Timestamp) -> PathBuf {
        let (start, end) = self.around_time();
        self.settings.path.with_file_name(format!("{start}{}{end}", at.strftime(TIME)))
    }

    fn around_time(&self) -> (String, String) {
        let part = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        let start = part(self.settings.path.file_stem()).unwrap_or_default();
        let end = part(self.settings.path.extension()).map(|end| format!(".{end}")).unwrap_or_default();
        (format!("{start}-"), end)
    }

    fn remove_old(&self) -> io::Result<()> {
        let (start, end) = self.around_time();
        let folder = self.settings.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut backups = Vec::new();
        for entry in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let time = name.strip_prefix(&start).and_then(|rest| rest.strip_suffix(&end));
            let time = time.and_then(|time| jiff::civil::DateTime::strptime(TIME, time).ok());
            if let Some(time) = time.and_then(|time| TimeZone::UTC.to_timestamp(time).ok()) {
                backups.push((time, entry.path()));
            }
        }
        backups.sort_by(|a, b| b.cmp(a));
        let oldest =
            self.settings.max_age.map(|age| SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH));
        let keep = if self.settings.max_backups == 0 { usize::MAX } else { self.settings.max_backups };
        for (index, (time, path)) in backups.iter().enumerate() {
            if index >= keep || oldest.is_some_and(|oldest| SystemTime::from(*time) < oldest) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// A file that only its owner reads; one that others could read is made private. A link is not followed.
fn open_private(path: &Path) -> io::Result<File> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let opened = OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(no_follow).open(path);
    let file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(error.kind(), "its folder is not there"),
        _ if path.is_symlink() => io::Error::new(error.kind(), "it is a symbolic link, which is not followed"),
        _ => error,
    })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file: name one, or a path where none is"));
    }
    if metadata.permissions().mode() & 0o777 != 0o600 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Takes off what an earlier process could not write to its end; answers the length.
fn without_torn_line(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(MAX_TORN_BYTES);
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(MAX_TORN_BYTES).read_to_end(&mut end)?;
    let torn = end.iter().rev().take_while(|byte| **byte != b'\n').count() as u64;
    if torn > 0 && (torn < length || start == 0) {
        file.set_len(length - torn)?;
    }
    Ok(length - torn)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    fn settings(folder: &Path) -> AuditSettings {
        AuditSettings { path: folder.join("audit.log"), max_bytes: 100, max_backups: 2, max_age: None }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_rotated_by_size_and_the_oldest_removed_and_all_are_private() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("audit.log"), "old\n").unwrap();
        fs::set_permissions(folder.path().join("audit.log"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(folder.path().join("audit-other.log"), "not ours").unwrap();
        let mut file = Rotated::open(settings(folder.path())).unwrap();
        for n in 0..40 {
            file.append(format!("{n:039}\n").as_bytes()).unwrap();
        }
        let names = names(folder.path());
        assert_eq!(names.len(), 4, "{names:?}");
        for name in names.iter().filter(|name| *name != "audit-other.log") {
            let path = folder.path().join(name);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.len() <= 100 && text.ends_with('\n'), "{name}: {text}");
        }
        let last = fs::read_to_string(folder.path().join("audit.log")).unwrap();
        assert!(last.ends_with("39\n"), "{last}");
    }

    #[test]
    fn files_go_that_are_older_than_the_age() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("audit-2020-01-01T00-00-00.000.log");
        fs::write(&old, "x\n").unwrap();
        let mut file = Rotated::open(AuditSettings {
            max_age: Some(Duration::from_secs(60)),
            max_backups: 0,
            ..settings(folder.path())
        })
        .unwrap();
        for _ in 0..3 {
            file.append(&[b"x".repeat(80), b"\n".to_vec()].concat()).unwrap();
        }
        assert!(!old.exists());
        assert_eq!(names(folder.path()).len(), 3);
    }

    #[test]
    fn a_line_that_was_cut_off_is_taken_off_and_a_file_that_was_renamed_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        fs::write(&path, "whole\nha").unwrap();
        let mut file = Rotated::open(settings(folder.path())).unwrap();
        file.append(b"next\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\nnext\n");
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        file.current.as_mut().unwrap().looked = Instant::now() - LOOK_EVERY;
        file.append(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        let link = AuditSettings { path: folder.path().join("link"), ..settings(folder.path()) };
        std::os::unix::fs::symlink("/etc/hostname", &link.path).unwrap();
        let why = |settings| Rotated::open(settings).err().map(|error| error.to_string());
        assert_eq!(why(link).as_deref(), Some("it is a symbolic link, which is not followed"));
        let nowhere = settings(&folder.path().join("nodir"));
        assert_eq!(why(nowhere).as_deref(), Some("its folder is not there"));
    }

    #[test]
    fn after_a_full_disk_the_file_is_opened_again_and_holds_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let full = Arc::new(AtomicBool::new(false));
        let is_full = full.clone();
        let open: Open = Box::new(move |path| match is_full.load(Ordering::Relaxed) {
            true => OpenOptions::new().read(true).write(true).open("/dev/full").map(|file| {
                // What is read of it has no end.
                drop(file);
                File::options().append(true).open("/dev/full").unwrap()
            }),
            false => open_private(path),
        });
        let mut file = Rotated::open_by(settings(folder.path()), open).unwrap();
        file.append(b"one\n").unwrap();
        full.store(true, Ordering::Relaxed);
        file.current = None;
        file.append(b"two\n").unwrap_err();
        assert!(file.append(b"three\n").unwrap_err().to_string().contains("a moment ago"));
        full.store(false, Ordering::Relaxed);
        file.retry_at = None;
        file.append(b"four\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("audit.log")).unwrap(), "one\nfour\n");
    }
}
