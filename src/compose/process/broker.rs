use std::{io, os::fd::OwnedFd, path::PathBuf, sync::Arc};

use futures::future::BoxFuture;
use transport::{
    ArtifactDesk, Broker, ConnectDesk, DirectConnect, SessionEntry, Wanted, bind_for_another, connect_for_another,
};

use super::{Granted, Lent, Told};

/// Opens for one worker's process what that may have.
pub(in crate::compose) struct ProcessBroker {
    sessions: SessionEntry,
    connects: ConnectDesk,
    artifacts: ArtifactDesk,
    /// Where the process takes requests.
    requests: PathBuf,
    told: Arc<Told>,
}

impl ProcessBroker {
    pub(super) fn new(
        sessions: SessionEntry,
        granted: Arc<Granted>,
        lent: Arc<Lent>,
        requests: PathBuf,
        told: Arc<Told>,
    ) -> Self {
        let (connects, artifacts) = (ConnectDesk::new(granted, Arc::new(DirectConnect)), ArtifactDesk::new(lent));
        Self { sessions, connects, artifacts, requests, told }
    }
}

impl Broker for ProcessBroker {
    fn open(&self, wanted: Wanted) -> BoxFuture<'_, io::Result<OwnedFd>> {
        Box::pin(async move {
            match wanted {
                Wanted::Control => self.sessions.open().await,
                Wanted::Connect => self.connects.open().await,
                Wanted::Artifact => self.artifacts.open().await,
                // This process keeps none: when the other has ended, nobody takes requests there.
                Wanted::Requests => bind_for_another(&self.requests),
                Wanted::Worker { name, socket } if self.told.leads_to(&name, &socket) => {
                    connect_for_another(socket.as_ref()).await
                }
                Wanted::Worker { name, socket } => {
                    // A route may have ended just now.
                    tracing::debug!(worker = %name, socket, "a worker's process asked for a socket that no route leads to");
                    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("no route leads to `{name}` there")))
                }
            }
        })
    }
}
