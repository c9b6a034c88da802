//! Sockets at paths that are longer than an address of the system.
//!
//! An address of a Unix socket holds 107 bytes and its end (unix(7), `sun_path`), a path 4095. A longer path is gone
//! through its folder, which is opened, and named as what it is open as: `/proc/self/fd/N/NAME`.

use std::{
    borrow::Cow,
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// What an address of a socket holds, in bytes.
const MAX_ADDRESS_BYTES: usize = 107;

/// A way to a socket. It holds as long as this is kept.
pub(super) struct Reach<'a> {
    path: Cow<'a, Path>,
    _folder: Option<OwnedFd>,
}

impl Reach<'_> {
    /// Where the system finds it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The way to the socket at a path of any length. The folder must be there.
pub(super) fn reach(path: &Path) -> io::Result<Reach<'_>> {
    if path.as_os_str().len() <= MAX_ADDRESS_BYTES {
        return Ok(Reach { path: path.into(), _folder: None });
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no path of a socket", path.display())));
    };
    let folder = openat(CWD, folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| naming(path, &error.into()))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    let over = short.as_os_str().len().saturating_sub(MAX_ADDRESS_BYTES);
    if over > 0 {
        let why = format!("the name of the socket {} is {over} bytes too long", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(Reach { path: short.into(), _folder: Some(folder) })
}

/// The error, with the path.
pub(super) fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::{bind_private, connect_to};

    #[tokio::test]
    async fn a_socket_below_a_long_path_is_listened_at_and_reached() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a".repeat(120)).join("b".repeat(200));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("control.sock");
        let listener = bind_private(&socket).unwrap();
        let (near, far) = tokio::join!(connect_to(&socket), listener.accept());
        assert!(near.is_ok() && far.is_ok());
    }

    #[tokio::test]
    async fn what_cannot_be_listened_at_is_named() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("none").join("c".repeat(120)).join("x.sock");
        let error = bind_private(&missing).unwrap_err().to_string();
        assert!(error.contains(missing.to_str().unwrap()), "{error}");
        let long = root.path().join(format!("{}.sock", "n".repeat(120)));
        let error = bind_private(&long).unwrap_err().to_string();
        assert!(error.contains("bytes too long") && error.contains(long.to_str().unwrap()), "{error}");
    }
}
