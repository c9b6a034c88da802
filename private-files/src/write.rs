use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

/// Makes a directory for this user alone, and those above it that are missing. One that is there already is left as it is.
///
/// # Errors
///
/// Where it cannot be made, or something else has its name.
pub fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that only its owner may read, whole or not at all, and on disk when this returns. A file that holds
/// these bytes already is not written again, so that a full disk keeps nobody from starting; its mode is put right.
///
/// # Errors
///
/// Where the file or its directory cannot be written, and where something that is no file has its name: a device, such
/// as `/dev/null`, would be replaced for everybody by a root user.
pub fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is there and is no file: name another place"));
    }
    let held = fs::read(path).is_ok_and(|held| held == contents);
    if held {
        return fs::set_permissions(path, Permissions::from_mode(0o600));
    }
    draft(path, contents)?.persist(path).map_err(|error| error.error)?;
    sync_dir(path)
}

/// As [`write`], where no other file may be lost: an existing one is refused, whatever it holds.
///
/// # Errors
///
/// Also where something has this name already.
pub fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    draft(path, contents)?.persist_noclobber(path).map_err(|error| error.error)?;
    sync_dir(path)
}

/// The contents under another name beside `path`. Temporary files are made with mode 0600.
fn draft(path: &Path, contents: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let dir = dir_of(path);
    create_dir(dir)?;
    let drafted = || {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    drafted().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            io::Error::new(error.kind(), format!("{error}; free some space on its disk and start again"))
        }
        _ => error,
    })
}

/// The new name is on disk too.
fn sync_dir(path: &Path) -> io::Result<()> {
    fs::File::open(dir_of(path))?.sync_all()
}

fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_file_that_holds_the_same_already_is_not_written_again_but_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write(&path, b"one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let before = fs::metadata(&path).unwrap().ino();
        write(&path, b"one").unwrap();
        assert_eq!((fs::metadata(&path).unwrap().ino(), mode(&path)), (before, 0o600));
        write(&path, b"two").unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"two".to_vec(), 0o600));
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for path in [&socket, &link] {
            assert_eq!(write(path, b"").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert!(!fs::symlink_metadata(&socket).unwrap().is_file());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn directories_on_the_way_are_private_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/key");
        write(&path, b"key").unwrap();
        assert_eq!(
            [mode(&path), mode(&folder.path().join("a")), mode(&folder.path().join("a/b"))],
            [0o600, 0o700, 0o700]
        );
    }

    #[test]
    fn what_must_be_new_replaces_nothing_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write_new(&path, b"one").unwrap();
        let refused = write_new(&path, b"two").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"one".to_vec(), 0o600));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
