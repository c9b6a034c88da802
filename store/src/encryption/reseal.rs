use std::{fs, io, path::Path};

use redb::{ReadTransaction, TableDefinition, WriteTransaction};

use super::{EncryptionKeys, Sealed};
use crate::{
    OpenError,
    disk::{DiskError, File},
};

/// `check`: a value that only the key opens by which all others in the file are sealed. A file without is not encrypted.
const ENCRYPTION: TableDefinition<&str, &[u8]> = TableDefinition::new("encryption");
const CHECK: &str = "check";

/// Why a file is not written anew.
pub enum Failure {
    /// The file failed.
    Disk(redb::Error),
    /// A value in it, by where it is kept.
    Sealed(String, Sealed),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Disk(error.into())
    }
}

/// Sees to it that all values of a file are sealed as these keys write, before it is opened: what another key sealed, or none, is
/// written anew, into a file that takes the place of the old one when it is whole. redb leaves what was overwritten in
/// its pages; the old file is gone with them.
///
/// # Errors
///
/// Where the file is sealed by a key that is missing or another: nothing was changed.
pub fn reseal(
    path: &Path,
    cache_bytes: usize,
    keys: &EncryptionKeys,
    copy: impl FnOnce(&ReadTransaction, &WriteTransaction) -> Result<(), Failure>,
) -> Result<(), OpenError> {
    // A start that was cut off leaves one, which may hold what is to be encrypted, so it goes whether it is needed again or not.
    let unfinished = path.with_extension("redb.sealing");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(path, &error)),
        _ => {}
    }
    if !path.exists() && keys.writer().is_none() {
        return Ok(());
    }
    let refused = |place: Option<String>, why: Sealed| OpenError::Encrypted { path: path.to_owned(), place, why };
    let file = File::open(path, cache_bytes)?;
    let check = file.load(|read| match read.open_table(ENCRYPTION) {
        Ok(table) => Ok(table.get(CHECK)?.map(|held| held.value().to_vec())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    })?;
    if let Some(check) = &check {
        keys.open(&[CHECK], check).map_err(|why| refused(None, why))?;
    }
    let sealed_by = check.as_deref().and_then(EncryptionKeys::name_in);
    if sealed_by == keys.writer() {
        return Ok(());
    }
    let new = File::open(&unfinished, cache_bytes)?;
    let mut failed = None;
    let read = file.load(|read| {
        let written = new.write(|transaction| {
            match copy(&read, transaction) {
                Ok(()) => {}
                Err(Failure::Disk(error)) => return Err(error),
                Err(Failure::Sealed(place, why)) => {
                    failed = Some((place, why));
                    return Err(redb::Error::Corrupted("a value does not open".to_owned()));
                }
            }
            if keys.writer().is_some() {
                transaction.open_table(ENCRYPTION)?.insert(CHECK, &*keys.seal(&[CHECK], CHECK.as_bytes()))?;
            }
            Ok(())
        });
        Ok(written)
    })?;
    drop((new, file));
    if let Err(error) = read {
        let _ = fs::remove_file(&unfinished);
        return Err(match (failed, error) {
            (Some((place, why)), _) => refused(Some(place), why),
            (None, DiskError::Full { .. }) => OpenError::DiskFull { path: path.to_owned() },
            (None, DiskError::Failed { why, .. }) => OpenError::Unusable { path: path.to_owned(), why },
        });
    }
    let replaced = fs::rename(&unfinished, path);
    let kept =
        replaced.and_then(|()| fs::File::open(path.parent().unwrap_or(Path::new(".")))).and_then(|dir| dir.sync_all());
    kept.map_err(|error| unusable(path, &error))?;
    let (file, key) = (path.display(), keys.writer().unwrap_or("none"));
    tracing::info!(%file, key, before = sealed_by.unwrap_or("none"), "all values were written anew");
    Ok(())
}

fn unusable(path: &Path, error: &io::Error) -> OpenError {
    OpenError::Unusable { path: path.to_owned(), why: error.to_string() }
}
