//! From component bytes to something that can be instantiated: compiled once, kept on disk, shared in the process.

mod artifact;
mod compiler;
mod exchange;
mod keeping;
mod process;
mod seal;
mod serve;
mod server;
mod warm;

pub use artifact::compiled_components;
pub(crate) use keeping::{Keeping, thread_faults};
pub use process::{CompileProcess, compile_stdin};
pub use serve::serve_compiles;
pub use server::CompileServer;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, Weak},
    time::Instant,
};

use api::{Digest, FetchImage, replica::ReplicaSpec};
use parking_lot::Mutex;
use registry_client::{ImageError, ImageStore};
use wasmtime::component::{Component, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::{
    WorkerError,
    capabilities::{self, Granted, GuestState, check_imports},
    engine::GuestEngine,
    error::StartError,
    worker::WorkerConfig,
};

use artifact::ArtifactCache;
use compiler::Compiler;
use warm::WarmPool;

/// Components that are compiled at the same time. Each uses all processors.
const AT_ONCE: usize = 2;

/// Where components are compiled.
#[derive(Debug, Clone)]
pub enum Compile {
    /// On threads of this process, which give way to those that serve. Nothing limits their memory.
    InThreads,
    /// Each in a limited process, which this one starts.
    Process(CompileProcess),
    /// Each in a limited process, which another one starts that was there before: for a worker in a sandbox.
    Server(CompileServer),
}

/// A component, compiled, mapped and linked. All replicas of it in the process share it; after the last it is kept warm for
/// a while.
pub(crate) struct LoadedComponent {
    pub(crate) pre: ProxyPre<GuestState>,
    pub(crate) imports: Vec<String>,
    mapped_bytes: u64,
    /// What made it, if its engine answers one request alone. Looked for when it matters.
    answers_once: OnceLock<Option<String>>,
    pub(crate) keeping: Keeping,
}

/// One image: whoever holds the lock loads it, and who comes after finds it loaded.
type Place = Arc<tokio::sync::Mutex<Weak<LoadedComponent>>>;

/// Every component of this process.
pub(crate) struct Components {
    engine: wasmtime::Engine,
    linker: Linker<GuestState>,
    /// The engine that keeps memory, with its linker.
    kept: Option<(wasmtime::Engine, Linker<GuestState>)>,
    images: ImageStore,
    /// Where images come from that are not in `images`.
    elsewhere: Arc<dyn FetchImage>,
    cache: Arc<ArtifactCache>,
    compiler: Compiler,
    places: Mutex<HashMap<Digest, Place>>,
    warm: WarmPool<LoadedComponent>,
}

impl Components {
    pub(crate) fn new(
        config: &WorkerConfig,
        engine: &GuestEngine,
        images: ImageStore,
        elsewhere: Arc<dyn FetchImage>,
    ) -> Result<Self, WorkerError> {
        let kept = match &engine.kept {
            Some(kept) => Some((kept.wasm.clone(), capabilities::linker(&kept.wasm).map_err(WorkerError::Engine)?)),
            None => None,
        };
        Ok(Self {
            kept,
            linker: capabilities::linker(&engine.wasm).map_err(WorkerError::Engine)?,
            cache: Arc::new(ArtifactCache::open(&config.cache_dir, &engine.wasm)?),
            compiler: Compiler::new(engine.wasm.clone(), config)?,
            engine: engine.wasm.clone(),
            images,
            elsewhere,
            places: Mutex::default(),
            warm: WarmPool::new(config.warm_bytes),
        })
    }

    /// The component of a replica's image: from this process, else from the cache, else compiled.
    pub(crate) async fn load(&self, spec: &ReplicaSpec) -> Result<Arc<LoadedComponent>, StartError> {
        if let Some(component) = self.warm.take(&spec.digest, Instant::now()) {
            return Ok(component);
        }
        let place = self.place(&spec.digest);
        let mut loaded = place.lock().await;
        if let Some(component) = loaded.upgrade() {
            return Ok(component);
        }
        let component = self.component(spec).await?;
        let component = Arc::new(self.link(&spec.image, &component)?);
        *loaded = Arc::downgrade(&component);
        self.warm.keep(&spec.digest, &component, component.mapped_bytes, Instant::now());
        Ok(component)
    }

    /// What made a component, if an instance of it answers one request alone. Reads the whole of it, once.
    pub(crate) async fn answers_once<'a>(&self, spec: &ReplicaSpec, component: &'a LoadedComponent) -> Option<&'a str> {
        if let Some(known) = component.answers_once.get() {
            return known.as_deref();
        }
        let (images, digest) = (self.images.clone(), spec.digest.clone());
        // Compiled from an image that is not here any more, it is taken for one of the others.
        let read = move || images.component(&digest).ok().and_then(|found| registry_client::answers_once(&found.bytes));
        let made_by = blocking(read).await.ok()?;
        component.answers_once.get_or_init(|| made_by).as_deref()
    }

    /// Links a component to the engine that keeps memory, if that is worth it and was not done yet.
    pub(crate) async fn keep(&self, digest: &Digest, component: &LoadedComponent) {
        let Some((engine, linker)) = self.kept.as_ref().filter(|_| component.keeping.is_wanted()) else { return };
        let (images, cache, digest, linker) = (self.images.clone(), self.cache.clone(), digest.clone(), linker.clone());
        let engine = engine.clone();
        let linked = blocking(move || {
            let again = cache.load(&engine, &images.component_digest(&digest).ok()?)?;
            linker.instantiate_pre(&again).and_then(ProxyPre::new).ok()
        });
        // What is gone from the disk meanwhile goes on as before.
        if let Ok(Some(linked)) = linked.await {
            component.keeping.keep(linked);
        }
    }

    /// Lets go of what was kept warm for too long, and of more where the machine is short of memory.
    pub(crate) fn trim(&self, short_of_memory: bool) {
        self.warm.trim(short_of_memory, Instant::now());
    }

    /// The images whose component is compiled and on disk.
    pub(crate) fn cached(&self) -> Vec<Digest> {
        let images = self.images.list().unwrap_or_default();
        images
            .into_iter()
            .filter(|image| self.cache.contains(&image.component_digest))
            .map(|image| image.digest)
            .collect()
    }

    /// Says of images that they are in use, on a thread that may block.
    pub(crate) fn are_used(&self, digests: HashSet<Digest>) {
        let images = self.images.clone();
        tokio::task::spawn_blocking(move || digests.iter().for_each(|digest| images.is_used(digest)));
    }

    fn place(&self, digest: &Digest) -> Place {
        let mut places = self.places.lock();
        if places.len() == places.capacity() {
            // Places that nobody waits at and whose component is gone.
            places.retain(|_, place| {
                Arc::strong_count(place) > 1 || place.try_lock().is_ok_and(|loaded| loaded.strong_count() > 0)
            });
        }
        places.entry(digest.clone()).or_default().clone()
    }

    async fn component(&self, spec: &ReplicaSpec) -> Result<Component, StartError> {
        let (images, cache, engine) = (self.images.clone(), self.cache.clone(), self.engine.clone());
        let digest = spec.digest.clone();
        // Compiled already, its bytes need not be read: what is sealed was made of bytes that were checked.
        let compiled = move || cache.load(&engine, &images.component_digest(&digest).ok()?);
        if let Some(component) = blocking(compiled).await? {
            return Ok(component);
        }
        let source = self.source(spec).await?;
        let began = Instant::now();
        let artifact = self.compiler.compile(&spec.image, source.bytes).await?;
        tracing::debug!(image = spec.image, compile_ms = began.elapsed().as_millis(), "compiled a component");
        let (cache, engine) = (self.cache.clone(), self.engine.clone());
        blocking(move || {
            cache.store(&source.digest, &artifact).map_err(|error| StartError::Cache(error.to_string()))?;
            cache.load(&engine, &source.digest).ok_or_else(|| {
                StartError::Cache("what was just written cannot be read back; is another process writing there?".into())
            })
        })
        .await?
    }

    /// The component's bytes: from this worker's store, else from where all images are.
    async fn source(&self, spec: &ReplicaSpec) -> Result<registry_client::Component, StartError> {
        let (images, digest) = (self.images.clone(), spec.digest.clone());
        let missing = match blocking(move || images.component(&digest)).await? {
            Err(missing @ (ImageError::DigestNotFound { .. } | ImageError::Damaged { .. })) => missing,
            found => return Ok(found?),
        };
        let fetched = self.elsewhere.fetch(spec.digest.clone()).await.map_err(|why| {
            tracing::debug!(image = spec.image, why, "the image is nowhere else either");
            missing
        })?;
        let (images, digest, reference) = (self.images.clone(), spec.digest.clone(), spec.image.clone());
        blocking(move || {
            images.take_in(&reference, &digest, &fetched)?;
            images.component(&digest)
        })
        .await?
        .map_err(StartError::from)
    }

    fn link(&self, image: &str, component: &Component) -> Result<LoadedComponent, StartError> {
        let imports: Vec<_> =
            component.component_type().imports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        // Which stores are granted differs between replicas, and is checked for each.
        check_imports(image, &imports, Granted::Something)?;
        let pre = self.linker.instantiate_pre(component).and_then(ProxyPre::new);
        let pre = pre.map_err(|error| StartError::Link { image: image.to_owned(), why: format!("{error:#}") })?;
        let mapped = component.image_range();
        let mapped_bytes = mapped.end.addr().saturating_sub(mapped.start.addr()) as u64;
        Ok(LoadedComponent { pre, imports, mapped_bytes, answers_once: OnceLock::new(), keeping: Keeping::default() })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StartError::Cache(error.to_string()))
}
