use std::{sync::Arc, thread};

use bytes::Bytes;
use registry_client::inspect;
use tokio::sync::{Semaphore, oneshot};

use super::process::CompileProcess;
use crate::{WorkerError, error::StartError, priority, worker::WorkerConfig};

/// Components that are compiled at the same time. Each uses all threads of the pool.
const AT_ONCE: usize = 2;

/// Compiles in a process of its own, or, where the program offers none, on threads that give way to those that serve.
///
/// On threads, compiling cannot be interrupted: a cap on the size bounds its time.
pub(super) struct Compiler {
    engine: wasmtime::Engine,
    threads: rayon::ThreadPool,
    permits: Arc<Semaphore>,
    max_bytes: u64,
    process: Option<CompileProcess>,
}

impl Compiler {
    pub(super) fn new(engine: wasmtime::Engine, config: &WorkerConfig) -> Result<Self, WorkerError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(thread::available_parallelism().map_or(1, usize::from))
            .thread_name(|index| format!("sampan-compile-{index}"))
            .start_handler(|_| priority::lower_this_thread())
            .build()
            .map_err(|error| WorkerError::Threads { what: "the compiler", source: std::io::Error::other(error) })?;
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        Ok(Self {
            engine,
            threads,
            permits,
            max_bytes: config.max_component_bytes,
            process: config.compile_process.clone(),
        })
    }

    pub(super) async fn compile(&self, image: &str, bytes: Bytes) -> Result<Vec<u8>, StartError> {
        let size = bytes.len() as u64;
        if size > self.max_bytes {
            return Err(StartError::TooLarge { image: image.to_owned(), bytes: size, limit_bytes: self.max_bytes });
        }
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        if let Some(process) = &self.process {
            let image = image.to_owned();
            let looked_at = bytes.clone();
            // A large component takes tens of milliseconds to look through: not on a thread that serves.
            let inspected = super::blocking(move || inspect(&looked_at)).await?;
            if let Err(source) = inspected {
                return Err(StartError::NotAComponent { image, source });
            }
            return process.compile(bytes).await.map_err(|why| StartError::Compile { image, why });
        }
        let (done, compiled) = oneshot::channel();
        let (engine, image) = (self.engine.clone(), image.to_owned());
        let name = image.clone();
        self.threads.spawn(move || {
            let _permit = permit;
            let _ = done.send(compile(&engine, image, &bytes));
        });
        compiled
            .await
            .unwrap_or_else(|_| Err(StartError::Compile { image: name, why: "the compiler panicked on it".into() }))
    }
}

fn compile(engine: &wasmtime::Engine, image: String, bytes: &[u8]) -> Result<Vec<u8>, StartError> {
    // It names what is no component far better than the engine does, and refuses what was compiled elsewhere.
    if let Err(source) = inspect(bytes) {
        return Err(StartError::NotAComponent { image, source });
    }
    engine.precompile_component(bytes).map_err(|error| StartError::Compile { image, why: format!("{error:#}") })
}
