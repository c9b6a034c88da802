use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{ImageError, blobs::io_error};

/// What sets the reserve.
pub const RESERVE_FLAG: &str = "--disk-reserve";
/// The reserve of a large disk, if none is set.
const DEFAULT_BYTES: u64 = 256 << 20;
/// Of a small disk, this part is reserved instead.
const DEFAULT_PART: u64 = 20;
/// Beside the images, what the server keeps free that serves them, for commands that write there too.
const NOTE: &str = "disk-reserve";
/// In place of a number: what is usual for a disk of its size.
const USUAL: &str = "usual";
/// Between two lines in the log about the same reserve.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Free space of a disk that is left to the objects of the control plane: nothing else is written below it, so that a disk
/// which images or guests have filled can still be told what is to go.
#[derive(Debug, Clone, Default)]
pub struct DiskReserve(Option<Arc<Reserve>>);

#[derive(Debug)]
struct Reserve {
    dir: PathBuf,
    /// `None`: what is usual for a disk of its size.
    bytes: Option<u64>,
    /// Writes that were refused.
    refused: AtomicU64,
    warned: Mutex<Option<Instant>>,
}

/// The disk has less free space than is reserved, or would have. Guests and clients are told so, and nothing of its paths.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the server's disk has {free_bytes} bytes free, and the last {reserved_bytes} are kept for the objects of the control \
     plane: free some space, or lower {RESERVE_FLAG}"
)]
pub struct BelowReserve {
    /// What is free of the disk.
    pub free_bytes: u64,
    /// What is to stay free.
    pub reserved_bytes: u64,
}

impl DiskReserve {
    /// The reserve of the disk that holds this directory: so many bytes, none with 0, or what is usual.
    pub fn of(dir: &Path, bytes: Option<u64>) -> Self {
        if bytes == Some(0) {
            return Self::default();
        }
        let (refused, warned) = (AtomicU64::default(), Mutex::default());
        Self(Some(Arc::new(Reserve { dir: dir.to_owned(), bytes, refused, warned })))
    }

    /// The one that the last server had whose images are in this directory; none where none was.
    pub(crate) fn noted(dir: &Path) -> Self {
        let Ok(note) = fs::read_to_string(dir.join(NOTE)) else { return Self::default() };
        Self::of(dir, note.trim().parse().ok())
    }

    /// Notes it for [`noted`](Self::noted).
    pub(crate) fn note(&self, dir: &Path) -> Result<(), ImageError> {
        let bytes = match &self.0 {
            None => "0".to_owned(),
            Some(reserve) => reserve.bytes.map_or_else(|| USUAL.to_owned(), |bytes| bytes.to_string()),
        };
        let path = dir.join(NOTE);
        private_files::write(&path, format!("{bytes}\n").as_bytes()).map_err(io_error("write", &path))
    }

    /// Whether so many bytes may be written. It asks the system, which takes a microsecond. A disk that does not tell has room.
    pub fn check(&self, bytes: u64) -> Result<(), BelowReserve> {
        let Some(reserve) = &self.0 else { return Ok(()) };
        let Ok(disk) = rustix::fs::statvfs(&reserve.dir) else { return Ok(()) };
        let (free_bytes, all) =
            (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
        let reserved_bytes = reserve.bytes.unwrap_or_else(|| DEFAULT_BYTES.min(all / DEFAULT_PART));
        if free_bytes < reserved_bytes.saturating_add(bytes) {
            let below = BelowReserve { free_bytes, reserved_bytes };
            reserve.refuses(&below);
            return Err(below);
        }
        Ok(())
    }

    /// How many writes it has refused.
    pub fn refused(&self) -> u64 {
        self.0.as_ref().map_or(0, |reserve| reserve.refused.load(Relaxed))
    }
}

impl Reserve {
    /// Who runs the server is told which disk it is, as who writes is not.
    fn refuses(&self, below: &BelowReserve) {
        let count = self.refused.fetch_add(1, Relaxed) + 1;
        let now = Instant::now();
        let mut warned = self.warned.lock();
        if warned.is_none_or(|at| now.duration_since(at) >= WARN_EVERY) {
            *warned = Some(now);
            tracing::warn!(dir = %self.dir.display(), why = %below, count, "the disk is below its reserve: writes are refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageStore;

    #[test]
    fn what_would_leave_less_than_the_reserve_is_refused_told_the_flag_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        assert!(DiskReserve::of(dir.path(), Some(1)).check(1).is_ok());
        let refused = DiskReserve::of(dir.path(), Some(u64::MAX)).check(1).unwrap_err().to_string();
        assert!(refused.contains(RESERVE_FLAG) && refused.contains("bytes free"), "{refused}");
        assert!(!refused.contains(dir.path().to_str().unwrap()), "guests and clients are told no path: {refused}");
        assert!(DiskReserve::of(dir.path(), Some(0)).check(u64::MAX).is_ok(), "none is reserved");
        let reserve = DiskReserve::of(dir.path(), Some(u64::MAX));
        assert!(reserve.check(0).is_err() && reserve.clone().check(0).is_err());
        assert_eq!(reserve.refused(), 2);
    }

    #[test]
    fn what_a_server_keeps_free_holds_for_others_who_write_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let refused = || ImageStore::open(dir.path()).unwrap().blobs().reserve().check(1).is_err();
        assert!(!refused(), "there was no server");
        for (bytes, is_refused) in [(Some(u64::MAX), true), (None, false), (Some(u64::MAX), true), (Some(0), false)] {
            drop(ImageStore::open_above(dir.path(), DiskReserve::of(dir.path(), bytes)).unwrap());
            assert_eq!(refused(), is_refused, "{bytes:?}");
        }
    }
}
