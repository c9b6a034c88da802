//! A disk that fills up when a test says so: files cannot grow, and what they have can be overwritten.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{Database, StorageBackend, backends::FileBackend};

use super::File;

/// Says whether the disk is full.
#[derive(Debug, Clone, Default)]
pub struct Full(Arc<AtomicBool>);

impl Full {
    /// From now on, or no longer.
    pub fn set(&self, full: bool) {
        self.0.store(full, Ordering::SeqCst);
    }

    fn is_full(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A file on such a disk.
pub fn file_on(path: &Path, full: Full) -> File {
    let at = path.to_owned();
    let opener = move |_| {
        let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&at)?;
        Database::builder().create_with_backend(Backend { file: FileBackend::new(file)?, full: full.clone() })
    };
    File::with_opener(path, Box::new(opener)).expect("the disk is not full yet")
}

#[derive(Debug)]
struct Backend {
    file: FileBackend,
    full: Full,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.full.is_full() && len > self.file.len()? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
