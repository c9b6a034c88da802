use std::{sync::Arc, thread};

use bytes::Bytes;
use registry_client::inspect;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    AT_ONCE, Compile,
    process::{CompileProcess, refused},
    server::CompileServer,
};
use crate::{WorkerError, error::StartError, priority, worker::WorkerConfig};

/// Compiles apart from what serves, or, where the program offers no process for it, on threads that give way.
///
/// On threads, compiling cannot be interrupted: a cap on the size bounds its time.
pub(super) struct Compiler {
    engine: wasmtime::Engine,
    permits: Arc<Semaphore>,
    max_bytes: u64,
    way: Way,
}

enum Way {
    Threads(rayon::ThreadPool),
    Process(CompileProcess),
    Server(CompileServer),
}

impl Compiler {
    pub(super) fn new(engine: wasmtime::Engine, config: &WorkerConfig) -> Result<Self, WorkerError> {
        let way = match &config.compile {
            Compile::InThreads => Way::Threads(threads()?),
            Compile::Process(process) => Way::Process(process.clone()),
            Compile::Server(server) => Way::Server(server.clone()),
        };
        Ok(Self { engine, permits: Arc::new(Semaphore::new(AT_ONCE)), max_bytes: config.max_component_bytes, way })
    }

    pub(super) async fn compile(&self, image: &str, bytes: Bytes) -> Result<Vec<u8>, StartError> {
        let size = bytes.len() as u64;
        if size > self.max_bytes {
            return Err(StartError::TooLarge { image: image.to_owned(), bytes: size, limit_bytes: self.max_bytes });
        }
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let looked_at = bytes.clone();
        // It names what is no component far better than the engine does, and refuses what was compiled elsewhere. A large
        // component takes tens of milliseconds to look through: not on a thread that serves.
        let inspected = super::blocking(move || inspect(&looked_at)).await?;
        inspected.map_err(|source| StartError::NotAComponent { image: image.to_owned(), source })?;
        let compiled = match &self.way {
            Way::Threads(threads) => self.on_threads(threads, bytes, permit).await,
            Way::Process(process) => process.compile(bytes).await,
            Way::Server(server) => server.compile(bytes).await,
        };
        compiled.map_err(|why| StartError::Compile { image: image.to_owned(), why })
    }

    /// The permit is kept until it is done, also when nobody waits for it any longer.
    async fn on_threads(
        &self,
        threads: &rayon::ThreadPool,
        bytes: Bytes,
        permit: OwnedSemaphorePermit,
    ) -> Result<Vec<u8>, String> {
        let (done, compiled) = oneshot::channel();
        let engine = self.engine.clone();
        threads.spawn(move || {
            let _permit = permit;
            let _ = done.send(engine.precompile_component(&bytes).map_err(|error| refused(&error)));
        });
        compiled.await.unwrap_or_else(|_| Err("the compiler panicked on it".into()))
    }
}

fn threads() -> Result<rayon::ThreadPool, WorkerError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(thread::available_parallelism().map_or(1, usize::from))
        .thread_name(|index| format!("sampan-compile-{index}"))
        .start_handler(|_| priority::lower_this_thread())
        .build()
        .map_err(|error| WorkerError::Threads { what: "the compiler", source: std::io::Error::other(error) })
}
