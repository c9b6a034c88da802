//! Connections of worker processes that were started here: they may make none themselves, so they ask for each. Who
//! started them is their control plane too, and so knows what runs in them and which hosts that is granted.

mod granted;
mod watch;

#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;
use transport::{ConnectListener, DirectConnect, serve_connects};

use crate::{key_value::Redis, paths::DataDir};

pub(super) use granted::Granted;
pub(super) use watch::watched;

/// The way to hosts outside of one worker process.
pub(super) struct WayOut {
    socket: PathBuf,
    granted: Arc<Granted>,
}

impl WayOut {
    /// Of the process of the worker with this name, which besides what is granted reaches the Redis that it is told of.
    pub(super) fn new(dir: &DataDir, name: &str, redis: Option<&Redis>) -> Self {
        let store = redis.and_then(|redis| redis.settings.host()).map(|(host, port)| (host.to_owned(), port));
        Self { socket: dir.connect_socket(name), granted: Arc::new(Granted::new(store)) }
    }

    /// What runs in the process.
    pub(super) fn granted(&self) -> &Arc<Granted> {
        &self.granted
    }

    /// What the process is started with.
    pub(super) fn arguments(&self) -> [OsString; 2] {
        ["--connect".into(), self.socket.clone().into()]
    }

    /// Answers the process until what this gives is dropped.
    pub(super) fn open(&self) -> Option<AbortOnDropHandle<()>> {
        let opened = open(&self.socket, self.granted.clone());
        let failed = |error: &std::io::Error| {
            let socket = self.socket.display();
            tracing::error!(%socket, %error, "no socket can be made there: a worker's guests reach no hosts outside");
        };
        opened.inspect_err(failed).ok().map(AbortOnDropHandle::new)
    }
}

fn open(socket: &Path, granted: Arc<Granted>) -> std::io::Result<JoinHandle<()>> {
    let listener = ConnectListener::bind(socket)?;
    Ok(tokio::spawn(serve_connects(listener, granted, Arc::new(DirectConnect))))
}
