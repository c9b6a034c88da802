use std::{
    fs::{self, File, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use api::Digest;

use crate::{
    DiskReserve, ImageError,
    blobs::{digest_of, io_error, settle, touch},
};

/// Between two looks at a file that another one writes.
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// A blob on its way into the store. What has come stays when the fetching process dies, and is gone on from.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: File,
    path: PathBuf,
    len: u64,
    reserve: DiskReserve,
}

/// What is found when a blob is to be fetched.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It is there, perhaps because another one fetched it meanwhile.
    Here,
    /// It is to be fetched, by this one alone.
    Missing(Incoming),
}

impl Incoming {
    /// Waits until no other thread or process fetches the same, for at most `patience`.
    pub(crate) fn begin(
        path: PathBuf,
        target: &Path,
        patience: Duration,
        reserve: &DiskReserve,
    ) -> Result<Begun, ImageError> {
        let deadline = Instant::now() + patience;
        loop {
            if touch(target) {
                return Ok(Begun::Here);
            }
            reserve.check(0)?;
            let file = File::options().create(true).append(true).read(true).open(&path);
            let file = file.map_err(io_error("open", &path))?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => {
                    let len = file.metadata().map_err(io_error("read", &path))?.len();
                    return Ok(Begun::Missing(Self { file, path, len, reserve: reserve.clone() }));
                }
                // Who held it has finished: the file has another name now, or none.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_RETRY),
                Err(TryLockError::WouldBlock) => return Err(ImageError::Locked { path, waited: patience }),
                Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
            }
        }
    }

    /// One whose file somebody else has opened, locked and named.
    pub(crate) fn lent(file: File) -> Result<Self, ImageError> {
        let path = PathBuf::from("the file of a blob");
        let len = file.metadata().map_err(io_error("read", &path))?.len();
        Ok(Self { file, path, len, reserve: DiskReserve::default() })
    }

    /// Its file, to be lent.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// All that somebody else has written to the file that it was lent, if it is of this digest and within the limit; else what
    /// is wrong with it. Whatever is written from now on is not in it.
    pub(crate) fn written(&self, digest: &Digest, limit_bytes: u64) -> Result<Result<Vec<u8>, String>, ImageError> {
        // Another reads where this one does, as the file that was lent is the same.
        let file = File::open(&self.path).map_err(io_error("open", &self.path))?;
        let mut bytes = Vec::new();
        file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(io_error("read", &self.path))?;
        if bytes.len() as u64 > limit_bytes {
            return Ok(Err(format!("more than {limit_bytes} bytes")));
        }
        let found = digest_of(&bytes);
        Ok(if found == *digest { Ok(bytes) } else { Err(format!("bytes with the digest {found}, not {digest}")) })
    }

    /// Bytes that are here already.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds bytes at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.reserve.check(bytes.len() as u64)?;
        self.file.write_all(bytes).map_err(io_error("write", &self.path))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what has come.
    pub(crate) fn restart(&mut self) -> Result<(), ImageError> {
        self.len = 0;
        self.file.set_len(0).map_err(io_error("empty", &self.path))
    }

    /// All that has come, if it has this digest; else the digest that it has.
    pub(crate) fn verified(&mut self, digest: &Digest) -> Result<Result<Vec<u8>, Digest>, ImageError> {
        let mut bytes = Vec::with_capacity(self.len as usize);
        let read = self.file.rewind().and_then(|()| (&self.file).take(self.len).read_to_end(&mut bytes));
        read.map_err(io_error("read", &self.path))?;
        let found = digest_of(&bytes);
        Ok(if found == *digest { Ok(bytes) } else { Err(found) })
    }

    /// Gives it its final name, durably.
    pub(crate) fn finish(self, target: &Path) -> Result<(), ImageError> {
        settle(&self.file, &self.path, target)
    }

    /// Removes what has come: it is of no use.
    pub(crate) fn discard(self) {
        // The file of a process that died is removed later by itself.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a file is still what its path leads to.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}
