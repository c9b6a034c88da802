use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream as BlockingStream,
    },
    sync::Arc,
    time::Duration,
};

use api::{Digest, replica::Failure};
use futures::future::BoxFuture;
use tokio::{io::AsyncReadExt, net::UnixStream, sync::Semaphore, time::timeout};

use super::{AT_ONCE, MAX_ASKED_BYTES, answer, parse_asked};
use crate::descriptor;

/// How long who has connected may take to say what it asks for, and to take the answer.
const LINE: Duration = Duration::from_secs(2);

/// What one process may have.
pub trait Give: Send + Sync {
    /// The artifact of an image for replicas of a namespace, or why there is none for them.
    fn give(&self, namespace: &str, image: Digest) -> BoxFuture<'_, Result<File, Failure>>;
}

/// Gives artifacts to one process. Clones share its seats.
#[derive(Clone)]
pub struct ArtifactDesk {
    give: Arc<dyn Give>,
    seats: Arc<Semaphore>,
}

impl ArtifactDesk {
    /// For the process that may have these.
    pub fn new(give: Arc<dyn Give>) -> Self {
        Self { give, seats: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The process' end of a connection over which it may ask for one, once there is room. To be called within a runtime.
    pub async fn open(&self) -> io::Result<OwnedFd> {
        let seat = self.seats.clone().acquire_owned().await.map_err(io::Error::other)?;
        // This end is nobody else's: who has the other cannot make it block.
        let (ours, theirs) = BlockingStream::pair()?;
        ours.set_nonblocking(true)?;
        let (stream, give) = (UnixStream::from_std(ours)?, self.give.clone());
        tokio::spawn(async move {
            let _seat = seat;
            if let Err(error) = serve(&*give, stream).await {
                tracing::debug!(%error, "who asked for an artifact has gone");
            }
        });
        Ok(theirs.into())
    }
}

async fn serve(give: &dyn Give, mut stream: UnixStream) -> io::Result<()> {
    let mut asked = [0; MAX_ASKED_BYTES];
    // A descriptor that comes along is closed.
    let (length, _) = timeout(LINE, descriptor::receive(&stream, &mut asked)).await??;
    let no_image = || io::Error::new(io::ErrorKind::InvalidData, "no image");
    let (namespace, image) = parse_asked(&asked[..length]).ok_or_else(no_image)?;
    let mut more = [0];
    let given = tokio::select! {
        given = give.give(namespace, image) => given,
        // It says nothing more: it has gone, or no longer waits for this.
        _ = stream.read(&mut more) => return Ok(()),
    };
    let answer = answer(&given);
    let file = given.ok();
    timeout(LINE, descriptor::send(&stream, answer.as_bytes(), file.as_ref().map(AsFd::as_fd))).await?
}
