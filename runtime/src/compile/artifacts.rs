use std::{
    collections::{HashMap, HashSet},
    fs::File,
    ops::ControlFlow::{self, Break, Continue},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use api::{Digest, FetchImage, ImageBytes, OpenArtifact, Seat, replica::Failure};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use registry_client::{Component, ImageError, ImageStore};
use tokio::sync::OwnedMutexGuard;

use super::{Compile, artifact::ArtifactCache, blocking, compiler::Compiler, parts::Known};
use crate::{
    WorkerError,
    engine::{self, Code},
    error::StartError,
};

/// The compiled components of an installation, or of a machine that joined one: each is opened, or compiled first. It holds the key
/// that seals them, and alone writes into their directory. Processes that guests could break out into have none: they are given
/// the files. Clones share it.
#[derive(Clone)]
pub struct Artifacts(pub(super) Arc<Inner>);

pub(super) struct Inner {
    images: ImageStore,
    /// Where images come from that are not in `images`.
    elsewhere: Arc<dyn FetchImage>,
    pub(super) cache: ArtifactCache,
    pub(super) compiler: Compiler,
    /// Whether code is kept for builds that differ in nothing else: where it matters that what was edited is there soon.
    pub(super) by_parts: bool,
    /// Where marks are, by the digest of the code.
    pub(super) known: Mutex<HashMap<Digest, Known>>,
    /// The last artifact that was filled in: it is opened again when its instances' memory is to be kept.
    filled: Mutex<Option<(Digest, File)>>,
    /// Images of which somebody waits for the artifact.
    turns: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

/// The turn to have an image compiled, and a seat to do so, until this is dropped.
struct OurTurn {
    seat: Arc<Seat>,
    _turn: OwnedMutexGuard<()>,
}

impl std::fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Artifacts").finish_non_exhaustive()
    }
}

impl Artifacts {
    /// How often it should be said which images are in use: well within the time that what is used stays.
    pub const USED_EVERY: Duration = Duration::from_secs(600);

    /// Those in `dir`, which only this user may write, of images in `images` or `elsewhere`. What was compiled to other `code` is
    /// passed over; a [`Compile::Server`] has to make the same.
    pub fn open(
        images: ImageStore,
        elsewhere: Arc<dyn FetchImage>,
        dir: &Path,
        compile: Compile,
        code: Code,
    ) -> Result<Self, WorkerError> {
        let engine = engine::compiling(code).map_err(WorkerError::Engine)?;
        let cache = ArtifactCache::open(dir, &engine)?;
        let compiler = Compiler::new(engine, compile)?;
        let by_parts = code == Code::Unoptimized;
        let (known, filled, turns) = Default::default();
        Ok(Self(Arc::new(Inner { images, elsewhere, cache, compiler, by_parts, known, filled, turns })))
    }

    /// As [`open_artifact`](OpenArtifact::open_artifact), by a link in `dir`: for a process that sees of all files those in there
    /// alone. Says where the link is, which whoever asked removes.
    pub async fn lend(
        &self,
        namespace: &str,
        image: &str,
        digest: &Digest,
        dir: PathBuf,
    ) -> Result<(File, PathBuf), Failure> {
        let lend = move |cache: &ArtifactCache, component: &Digest| cache.lend(component, &dir);
        self.found_or_compiled(namespace, image, digest, lend).await.map_err(StartError::into_failure)
    }

    async fn found_or_compiled<T: Send + 'static>(
        &self,
        namespace: &str,
        image: &str,
        digest: &Digest,
        find: impl Fn(&ArtifactCache, &Digest) -> Option<T> + Clone + Send + 'static,
    ) -> Result<T, StartError> {
        match self.found_or_our_turn(namespace, digest, find.clone()).await? {
            Break(found) => Ok(found),
            Continue(turn) => self.compiled(&turn, image, self.source(image, digest).await?, find).await,
        }
    }

    /// As [`found_or_compiled`](Self::found_or_compiled), but that the artifact of an image whose code is kept apart is filled in for
    /// each process, as that is done sooner than it would be written, read and checked.
    async fn opened(&self, namespace: &str, image: &str, digest: &Digest) -> Result<File, StartError> {
        let turn = match self.found_or_our_turn(namespace, digest, ArtifactCache::find).await? {
            Break(found) => return Ok(found),
            Continue(turn) => turn,
        };
        if let Some(filled) = self.filled(digest) {
            return Ok(filled);
        }
        let source = self.source(image, digest).await?;
        if self.0.by_parts {
            let began = Instant::now();
            if let Some(file) = self.by_parts(&turn.seat, image, source.clone()).await? {
                tracing::debug!(image, fill_ms = began.elapsed().as_millis(), "filled in a component");
                *self.0.filled.lock() = file.try_clone().ok().map(|file| (digest.clone(), file));
                return Ok(file);
            }
        }
        self.compiled(&turn, image, source, ArtifactCache::find).await
    }

    /// What is found; else, once nobody else has an image compiled, the turn to do so.
    async fn found_or_our_turn<T: Send + 'static>(
        &self,
        namespace: &str,
        digest: &Digest,
        find: impl Fn(&ArtifactCache, &Digest) -> Option<T> + Clone + Send + 'static,
    ) -> Result<ControlFlow<T, OurTurn>, StartError> {
        if let Some(found) = self.find(digest, find.clone()).await? {
            return Ok(Break(found));
        }
        // Before its turn: others who wait for the same image do not wait for seats of this namespace.
        let seat = self.0.compiler.seat(namespace).await;
        let turn = self.turn(digest).lock_owned().await;
        // Who had its turn before may have compiled it.
        let found = self.find(digest, find).await?;
        Ok(found.map_or(Continue(OurTurn { seat, _turn: turn }), Break))
    }

    async fn compiled<T: Send + 'static>(
        &self,
        turn: &OurTurn,
        image: &str,
        source: Component,
        find: impl Fn(&ArtifactCache, &Digest) -> Option<T> + Send + 'static,
    ) -> Result<T, StartError> {
        let began = Instant::now();
        let artifact = self.0.compiler.compile(&turn.seat, image, source.bytes).await?;
        tracing::debug!(image, compile_ms = began.elapsed().as_millis(), "compiled a component");
        let inner = self.0.clone();
        blocking(move || {
            let cache = &inner.cache;
            cache.store(&source.digest, &artifact).map_err(|error| {
                // It may name a path, which clients of the gateway would be told.
                tracing::warn!(%error, "a compiled component cannot be kept");
                StartError::Cache(format!("it cannot be written ({}); the log says more", error.kind()))
            })?;
            find(cache, &source.digest).ok_or_else(|| {
                StartError::Cache("what was just written cannot be read back; is another process writing there?".into())
            })
        })
        .await?
    }

    fn filled(&self, digest: &Digest) -> Option<File> {
        let last = self.0.filled.lock();
        let (_, file) = last.as_ref().filter(|(filled, _)| filled == digest)?;
        file.try_clone().ok()
    }

    async fn find<T: Send + 'static>(
        &self,
        digest: &Digest,
        find: impl Fn(&ArtifactCache, &Digest) -> Option<T> + Send + 'static,
    ) -> Result<Option<T>, StartError> {
        let (inner, digest) = (self.0.clone(), digest.clone());
        // Compiled already, its bytes need not be read: what is sealed was made of bytes that were checked.
        blocking(move || find(&inner.cache, &inner.images.component_digest(&digest).ok()?)).await
    }

    pub(super) fn turn(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.turns.lock();
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(digest.clone()).or_default().clone()
    }

    /// The component's bytes: from this store, else from where all images are.
    async fn source(&self, image: &str, digest: &Digest) -> Result<Component, StartError> {
        let (inner, wanted) = (self.0.clone(), digest.clone());
        let missing = match blocking(move || inner.images.component(&wanted)).await? {
            Err(missing @ (ImageError::DigestNotFound { .. } | ImageError::Damaged { .. })) => missing,
            found => return Ok(found?),
        };
        let fetched = self.0.elsewhere.fetch(digest.clone()).await.map_err(|why| {
            tracing::debug!(image, why, "the image is nowhere else either");
            missing
        })?;
        let (inner, wanted, reference) = (self.0.clone(), digest.clone(), image.to_owned());
        blocking(move || {
            inner.images.take_in(&reference, &wanted, &fetched)?;
            inner.images.component(&wanted)
        })
        .await?
        .map_err(StartError::from)
    }
}

impl OpenArtifact for Artifacts {
    fn open_artifact(
        &self,
        namespace: &str,
        image: &str,
        digest: &Digest,
    ) -> BoxFuture<'static, Result<File, Failure>> {
        let (artifacts, digest) = (self.clone(), digest.clone());
        let (namespace, image) = (namespace.to_owned(), image.to_owned());
        Box::pin(async move { artifacts.opened(&namespace, &image, &digest).await.map_err(StartError::into_failure) })
    }

    fn compiled(&self) -> Vec<Digest> {
        let images = self.0.images.list().unwrap_or_default();
        let is_compiled = |image: &registry_client::Image| self.0.cache.contains(&image.component_digest);
        images.into_iter().filter(is_compiled).map(|image| image.digest).collect()
    }

    fn are_used(&self, digests: HashSet<Digest>) {
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || digests.iter().for_each(|digest| inner.images.is_used(digest)));
    }
}

/// Images that are here already, else those from elsewhere.
impl FetchImage for Artifacts {
    fn fetch(&self, digest: Digest) -> BoxFuture<'static, Result<ImageBytes, String>> {
        let inner = self.0.clone();
        Box::pin(async move {
            let (here, wanted) = (inner.clone(), digest.clone());
            match blocking(move || here.images.bytes_of(&wanted)).await {
                Ok(Ok(image)) => Ok(image),
                _ => inner.elsewhere.fetch(digest).await,
            }
        })
    }
}
