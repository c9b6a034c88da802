use std::{io, io::Write, os::unix::fs::PermissionsExt, path::Path};

/// Writes a file that only its owner may read, whole or not at all. One that holds this already is left alone, so that
/// a full disk keeps nobody from starting again.
pub(super) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    if std::fs::read(path).is_ok_and(|held| held == contents) {
        return std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    }
    write_new(path, contents).map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            io::Error::new(error.kind(), format!("{error}; free some space on its disk and start again"))
        }
        _ => error,
    })
}

fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Temporary files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_file_that_holds_the_same_already_is_not_written_again_but_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write(&path, b"one").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let before = std::fs::metadata(&path).unwrap().ino();
        write(&path, b"one").unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!((after.ino(), after.mode() & 0o777), (before, 0o600));
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
    }
}
