use std::path::PathBuf;

/// Why a data directory, or a file in it, could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the data directory.
    #[error(
        "the data directory {} is in use by {}{}: stop it, or choose another directory with --data-dir, and other ports \
         with --http and --api",
        dir.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")),
        doing.as_ref().map(|doing| format!(" ({doing})")).unwrap_or_default()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// Who holds it, if that is known.
        pid: Option<u32>,
        /// Its command and where it was started, if that is known.
        doing: Option<String>,
    },
    /// A file holds something else than what was written, or not all of it.
    #[error(
        "{path} is damaged ({why}): restore it from a backup, or move it away to start without what it held: \
         mv {path} {path}.damaged",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file was written by another version of Sampan.
    #[error("{} has schema {found}, and this version of sampan reads {known}: use the version that wrote it", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: u64,
        /// What is understood.
        known: u64,
    },
    /// A file holds values that the keys of the command line do not open.
    #[error(
        "{} was not opened, and nothing in it was changed: {}{why}",
        path.display(), place.as_ref().map(|place| format!("{place} cannot be read: ")).unwrap_or_default()
    )]
    Encrypted {
        /// The file.
        path: PathBuf,
        /// Which value; `None`: all of them.
        place: Option<String>,
        /// Why it does not open.
        why: crate::encryption::Sealed,
    },
    /// The disk is full.
    #[error("the disk that holds {} is full: free some space and start again", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// A file or directory cannot be used.
    #[error("{} cannot be used ({why}): mend that, or choose another directory with --data-dir", path.display())]
    Unusable {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}
