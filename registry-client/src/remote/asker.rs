//! In a pull process: who asked it to pull, and has what it has not.

use std::{
    fs::File,
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use api::Digest;
use tokio::sync::Mutex;

use super::exchange::{Answer, Line, Said, Text};
use crate::{
    Image, ImageError,
    access::Credentials,
    incoming::{Begun, Incoming},
    remote::pull::Found,
};

/// Between two words on how much has come.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Who asked, and is asked for files and credentials.
#[derive(Debug)]
pub(crate) struct Asker {
    line: Mutex<Line>,
    bytes: AtomicU64,
    total: AtomicU64,
}

impl Asker {
    pub(super) fn new(line: Line) -> Self {
        Self { line: Mutex::new(line), bytes: AtomicU64::new(0), total: AtomicU64::new(0) }
    }

    /// Who this machine's user is at a registry.
    pub(crate) async fn who_is(&self, host: &str) -> Result<Credentials, String> {
        match self.ask(&Said::WhoIs { host: host.to_owned() }).await {
            Ok((Answer::Credentials(found), _)) => found,
            Ok(_) => Err("who asked for the image answers something else".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether all of an image is there already.
    pub(super) async fn is_whole(&self, found: &Found) -> Result<bool, ImageError> {
        let said = Said::Found {
            manifest: Text(found.manifest.clone()),
            index: found.index.clone().map(Text),
            component: found.layer.digest.clone(),
            size_bytes: found.layer.size_bytes,
        };
        match self.ask(&said).await {
            Ok((Answer::IsHere(whole), _)) => Ok(whole),
            other => Err(lost(other)),
        }
    }

    /// The file of a blob, with what has come of it before; or all of the image has been brought by others meanwhile.
    pub(super) async fn begin(&self, digest: &Digest, limit_bytes: u64) -> Result<Begun, ImageError> {
        match self.ask(&Said::Wants { digest: digest.clone(), limit_bytes }).await {
            Ok((Answer::GoOn, Some(file))) => Incoming::lent(file).map(Begun::Missing),
            Ok((Answer::IsHere(true), _)) => Ok(Begun::Here),
            other => Err(lost(other)),
        }
    }

    /// The blob has come as it should be, or what has come is of no use.
    pub(super) async fn fetched(&self, is_of_use: bool) -> Result<(), ImageError> {
        match self.ask(&Said::Fetched { is_of_use }).await {
            Ok((Answer::Kept, _)) => Ok(()),
            other => Err(lost(other)),
        }
    }

    /// All of it is there.
    pub(super) async fn keep(&self, reference: &str, found: &Found, is_private: bool) -> Result<Image, ImageError> {
        match self.ask(&Said::Whole { is_private }).await {
            Ok((Answer::Kept, _)) => Ok(Image {
                reference: reference.to_owned(),
                digest: found.digest.clone(),
                component_digest: found.layer.digest.clone(),
                size_bytes: found.layer.size_bytes,
            }),
            other => Err(lost(other)),
        }
    }

    /// The last word.
    pub(super) async fn tell(&self, said: &Said) -> io::Result<()> {
        self.line.lock().await.send(said, None).await
    }

    /// How much has come. It is told by [`keep_telling`](Self::keep_telling).
    pub(super) fn transferred(&self, bytes: u64, total: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Says how much has come, until who asked is gone: nobody waits for it any more.
    pub(super) async fn keep_telling(&self) {
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            let (bytes, total) = (self.bytes.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
            if self.tell(&Said::Transferred { bytes, total }).await.is_err() {
                return;
            }
        }
    }

    async fn ask(&self, said: &Said) -> io::Result<(Answer, Option<File>)> {
        // Nobody says anything in between.
        let line = self.line.lock().await;
        line.send(said, None).await?;
        line.receive().await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Nothing can be done any more, and nobody is there to be told why.
fn lost(answer: io::Result<(Answer, Option<File>)>) -> ImageError {
    let why = match answer {
        Ok(_) => "who asked for the image answers something else".to_owned(),
        Err(error) => error.to_string(),
    };
    ImageError::Client { why }
}
