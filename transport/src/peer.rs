//! Connections of whatever kind, and Unix sockets that this user alone may use.

mod reach;

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{UnixListener, UnixStream},
};

use reach::{naming, reach};

/// A byte stream of any kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Listens at `path`, in place of what an earlier process left there. Only this user may connect.
pub(crate) fn bind_private(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(reach(path)?.path()).map_err(|error| naming(path, &error))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to the socket at `path`, which may be longer than the system's addresses of sockets.
pub(crate) async fn connect_to(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(reach(path)?.path()).await
}

/// Whether the other side runs as this user, or as root.
pub(crate) fn is_own_user(stream: &UnixStream) -> bool {
    let own = rustix::process::getuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}
