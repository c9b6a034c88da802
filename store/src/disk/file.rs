use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use parking_lot::RwLock;
use redb::{Database, DatabaseError, ReadTransaction, StorageError, WriteTransaction};

use crate::OpenError;

/// Files up to this size are checked as a whole each time they are opened; larger ones only after a crash.
const CHECK_UP_TO_BYTES: u64 = 256 << 20;

/// Whether a file is checked as a whole when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integrity {
    /// Every page, up to a size.
    Check,
    /// What redb checks by itself: it was open in this process a moment ago.
    Trust,
}

type Opener = Box<dyn Fn(Integrity) -> Result<Database, DatabaseError> + Send + Sync>;

/// A redb file. After a failed write redb wants to be opened anew: this does so by itself.
pub struct File {
    path: PathBuf,
    opener: Opener,
    database: RwLock<Option<Database>>,
}

/// Why reading or writing failed. Nothing was done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiskError {
    /// The disk is full.
    #[error("the disk that holds {path} is full: free some space and try again")]
    Full {
        /// Which file.
        path: String,
    },
    /// The file could not be used.
    #[error("{path} could not be used: {why}")]
    Failed {
        /// Which file.
        path: String,
        /// What the system said.
        why: String,
    },
}

impl DiskError {
    /// What guests are told: not where this machine keeps its files.
    pub fn without_path(&self) -> &'static str {
        match self {
            Self::Full { .. } => "the server's disk is full",
            Self::Failed { .. } => "the server's file could not be used: its log says why",
        }
    }
}

impl File {
    /// Opens a file, or makes it. `cache_bytes` bounds what redb holds in memory of it.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Self, OpenError> {
        let at = path.to_owned();
        Self::with_opener(
            path,
            Box::new(move |integrity| {
                let mut builder = Database::builder();
                let small = match std::fs::metadata(&at) {
                    // A file comes into being whole, so an empty one has lost what it held.
                    Ok(meta) if meta.len() == 0 => return Err(StorageError::Corrupted("it is empty".to_owned()).into()),
                    Ok(meta) => meta.len() <= CHECK_UP_TO_BYTES,
                    Err(_) => make(&at).map(|()| true)?,
                };
                builder.set_cache_size(cache_bytes).set_check_integrity_on_open(integrity == Integrity::Check && small);
                builder.create(&at)
            }),
        )
    }

    pub(crate) fn with_opener(path: &Path, opener: Opener) -> Result<Self, OpenError> {
        let file = Self { path: path.to_owned(), opener, database: RwLock::new(None) };
        let opened = file.guard(|| (file.opener)(Integrity::Check).map_err(redb::Error::from));
        let database = opened.map_err(|error| file.open_error(error))?;
        *file.database.write() = Some(database);
        Ok(file)
    }

    /// Reads. A panic of redb over damaged pages comes back as an error.
    pub fn read<T>(&self, work: impl FnOnce(ReadTransaction) -> Result<T, redb::Error>) -> Result<T, DiskError> {
        use redb::ReadableDatabase;
        self.ensure_open()?;
        let database = self.database.read();
        let read = self.guard(|| match database.as_ref() {
            Some(database) => work(database.begin_read()?),
            None => Err(redb::Error::DatabaseClosed),
        });
        read.map_err(|error| self.disk_error(error))
    }

    /// Reads on in what an earlier [`File::read`] has opened.
    pub fn read_on<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, DiskError> {
        self.guard(work).map_err(|error| self.disk_error(error))
    }

    /// Writes, and answers once that is durable. After a failure the file is opened anew.
    pub fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>) -> Result<T, DiskError> {
        self.ensure_open()?;
        let written = {
            let database = self.database.read();
            self.guard(|| {
                let transaction = database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_write()?;
                let result = work(&transaction)?;
                transaction.commit()?;
                Ok(result)
            })
        };
        written.map_err(|error| {
            self.reopen();
            self.disk_error(error)
        })
    }

    /// The same reading as [`File::read`], while the file is being opened: failures say what to do about it.
    pub fn load<T>(&self, work: impl FnOnce(ReadTransaction) -> Result<T, redb::Error>) -> Result<T, OpenError> {
        use redb::ReadableDatabase;
        let database = self.database.read();
        let read = self.guard(|| work(database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_read()?));
        read.map_err(|error| self.open_error(error))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn ensure_open(&self) -> Result<(), DiskError> {
        if self.database.read().is_some() {
            return Ok(());
        }
        let mut database = self.database.write();
        if database.is_none() {
            let opened = self.guard(|| (self.opener)(Integrity::Trust).map_err(redb::Error::from));
            *database = Some(opened.map_err(|error| self.disk_error(error))?);
        }
        Ok(())
    }

    /// redb refuses everything after a failed write until it is opened again. If that fails too, the next use tries it.
    fn reopen(&self) {
        *self.database.write() = None;
        let _ = self.ensure_open();
    }

    /// Turns a panic of redb, as damaged pages can cause, into an error.
    fn guard<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(redb::Error::Corrupted(said.unwrap_or_else(|| "its pages do not fit together".to_owned())))
        })
    }

    fn open_error(&self, error: redb::Error) -> OpenError {
        let path = self.path.clone();
        match &error {
            redb::Error::Io(io) if is_full(io) => OpenError::DiskFull { path },
            redb::Error::Io(io) if is_damage(io) => OpenError::Damaged { path, why: io.to_string() },
            redb::Error::DatabaseAlreadyOpen => OpenError::Locked { dir: path, pid: None, doing: None },
            redb::Error::Io(io) => OpenError::Unusable { path, why: io.to_string() },
            redb::Error::Corrupted(why) => OpenError::Damaged { path, why: why.clone() },
            other => OpenError::Damaged { path, why: other.to_string() },
        }
    }

    fn disk_error(&self, error: redb::Error) -> DiskError {
        let path = self.path.display().to_string();
        match error {
            redb::Error::Io(io) if is_full(&io) => DiskError::Full { path },
            other => DiskError::Failed { path, why: other.to_string() },
        }
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Makes a file under another name first: no crash leaves half a file under its own.
fn make(path: &Path) -> Result<(), DatabaseError> {
    let unfinished = path.with_extension("redb.new");
    let io = |error| DatabaseError::from(StorageError::Io(error));
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => drop(Database::create(&unfinished)?),
    }
    std::fs::rename(&unfinished, path).map_err(io)
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn is_damage(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}
