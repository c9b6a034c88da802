//! From component bytes to something that can be instantiated: compiled once, kept on disk, shared in the process.

mod alone;
mod artifact;
mod artifacts;
mod compiler;
mod exchange;
mod fill;
mod keeping;
mod parts;
mod seal;
mod serve;
mod server;
mod warm;

pub use artifact::compiled_components;
pub use artifacts::Artifacts;
pub(crate) use keeping::{Keeping, thread_faults};
pub use serve::serve_compiles;
#[cfg(debug_assertions)]
pub use serve::serve_instead;
pub use server::{CompileProcess, CompileServer};

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    os::fd::AsRawFd,
    sync::{Arc, OnceLock, Weak},
    time::Instant,
};

use api::{Digest, FetchImage, OpenArtifact, replica::ReplicaSpec};
use parking_lot::Mutex;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::{
    WorkerError,
    capabilities::{self, Granted, GuestState, check_imports},
    engine::GuestEngine,
    error::StartError,
    worker::WorkerConfig,
};

use warm::WarmPool;

/// Components that are compiled at the same time. Each uses all processors.
const AT_ONCE: usize = 3;
/// Of these, for one namespace.
const AT_ONCE_OF_NAMESPACE: usize = 2;

/// Where components are compiled.
#[derive(Debug, Clone)]
pub enum Compile {
    /// On threads of this process, which give way to those that serve. Nothing limits their memory.
    InThreads,
    /// Each in a limited process, which reaches nothing.
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
    artifacts: Arc<dyn OpenArtifact>,
    images: Arc<dyn FetchImage>,
    places: Mutex<HashMap<Digest, Place>>,
    warm: WarmPool<LoadedComponent>,
}

impl Components {
    pub(crate) fn new(
        config: &WorkerConfig,
        engine: &GuestEngine,
        artifacts: Arc<dyn OpenArtifact>,
        images: Arc<dyn FetchImage>,
    ) -> Result<Self, WorkerError> {
        let kept = match &engine.kept {
            Some(kept) => Some((kept.wasm.clone(), capabilities::linker(&kept.wasm).map_err(WorkerError::Engine)?)),
            None => None,
        };
        Ok(Self {
            kept,
            linker: capabilities::linker(&engine.wasm).map_err(WorkerError::Engine)?,
            engine: engine.wasm.clone(),
            artifacts,
            images,
            places: Mutex::default(),
            warm: WarmPool::new(config.warm_bytes),
        })
    }

    /// The component of a replica's image: from this process, else from its artifact.
    pub(crate) async fn load(&self, spec: &ReplicaSpec) -> Result<Arc<LoadedComponent>, StartError> {
        if let Some(component) = self.warm.take(&spec.digest, Instant::now()) {
            return Ok(component);
        }
        let place = self.place(&spec.digest);
        let mut loaded = place.lock().await;
        if let Some(component) = loaded.upgrade() {
            return Ok(component);
        }
        let component = self.component(spec, &self.engine).await?;
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
        // Of an image that is not to be had any more, it is taken for one of the others.
        let image = self.images.fetch(spec.digest.clone()).await.ok()?;
        let made_by = blocking(move || registry_client::answers_once(&image.component)).await.ok()?;
        component.answers_once.get_or_init(|| made_by).as_deref()
    }

    /// Links a component to the engine that keeps memory, if that is worth it and was not done yet.
    pub(crate) async fn keep(&self, spec: &ReplicaSpec, component: &LoadedComponent) {
        let Some((engine, linker)) = self.kept.as_ref().filter(|_| component.keeping.is_wanted()) else { return };
        // What is gone meanwhile goes on as before.
        let Ok(again) = self.component(spec, engine).await else { return };
        if let Ok(linked) = linker.instantiate_pre(&again).and_then(ProxyPre::new) {
            component.keeping.keep(linked);
        }
    }

    /// Lets go of what was kept warm for too long, and of more where the machine is short of memory.
    pub(crate) fn trim(&self, short_of_memory: bool) {
        self.warm.trim(short_of_memory, Instant::now());
    }

    /// The images whose component is compiled, as far as this process is to tell it.
    pub(crate) fn cached(&self) -> Vec<Digest> {
        self.artifacts.compiled()
    }

    /// Says of images that they are in use.
    pub(crate) fn are_used(&self, digests: HashSet<Digest>) {
        self.artifacts.are_used(digests);
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

    async fn component(&self, spec: &ReplicaSpec, engine: &wasmtime::Engine) -> Result<Component, StartError> {
        let file = self.artifacts.open_artifact(&spec.id.0.namespace, &spec.image, &spec.digest).await;
        let file = file.map_err(StartError::Artifact)?;
        let engine = engine.clone();
        blocking(move || map(&engine, &file)).await?
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

/// Takes machine code from an artifact.
fn map(engine: &wasmtime::Engine, artifact: &File) -> Result<Component, StartError> {
    // The engine opens what it maps by a path, and this is the one that leads to an open file.
    let path = format!("/proc/self/fd/{}", artifact.as_raw_fd());
    #[allow(unsafe_code, reason = "the one place where machine code is taken from disk")]
    // SAFETY: the bytes were made by `precompile_component` with an engine of this installation, as the seal has shown to who
    // opened this file. It is only ever replaced by another file, in a directory that only this user can write.
    let component = unsafe { Component::deserialize_file(engine, path) };
    component.map_err(|error| StartError::Cache(format!("{error:#}")))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StartError::Cache(error.to_string()))
}
