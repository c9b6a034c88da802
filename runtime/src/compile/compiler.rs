use std::{sync::Arc, thread};

use api::{Seat, Seats};
use bytes::Bytes;
use registry_client::{Divided, MAX_COMPONENT_BYTES};
use tokio::sync::oneshot;

use super::{AT_ONCE, AT_ONCE_OF_NAMESPACE, Compile, alone, exchange::Wanted, server::CompileServer};
use crate::{WorkerError, error::StartError, priority};

/// Compiles apart from what serves: in processes of their own, or on threads that give way.
///
/// On threads, compiling cannot be interrupted: a cap on the size bounds its time.
pub(super) struct Compiler {
    engine: wasmtime::Engine,
    /// What a component makes of its compiler's time is its own choice, up to the limit of a compile: so one namespace leaves a
    /// seat to others, whatever it has compiled.
    seats: Seats<String>,
    way: Way,
}

enum Way {
    Threads(rayon::ThreadPool),
    Server(CompileServer),
}

impl Compiler {
    pub(super) fn new(engine: wasmtime::Engine, compile: Compile) -> Result<Self, WorkerError> {
        let way = match compile {
            Compile::InThreads => Way::Threads(threads()?),
            Compile::Server(server) => Way::Server(server),
        };
        Ok(Self { engine, seats: Seats::new(AT_ONCE, AT_ONCE_OF_NAMESPACE), way })
    }

    /// Waits until something may be compiled for a namespace.
    pub(super) async fn seat(&self, namespace: &str) -> Arc<Seat> {
        Arc::new(self.seats.take(namespace.to_owned()).await)
    }

    pub(super) async fn compile(&self, seat: &Arc<Seat>, image: &str, bytes: Bytes) -> Result<Vec<u8>, StartError> {
        let (size, limit_bytes) = (bytes.len() as u64, MAX_COMPONENT_BYTES);
        if size > limit_bytes {
            return Err(StartError::TooLarge { image: image.to_owned(), bytes: size, limit_bytes });
        }
        let compiled = match &self.way {
            Way::Threads(threads) => {
                let engine = self.engine.clone();
                on_threads(threads, seat.clone(), move || alone::compiled(&engine, &bytes)).await
            }
            Way::Server(server) => server.make(Wanted::Artifact, bytes).await,
        };
        compiled.map_err(|why| StartError::Compile { image: image.to_owned(), why })
    }

    /// The parts of a component; `None`: it is to be compiled as a whole.
    pub(super) async fn divide(&self, seat: &Arc<Seat>, bytes: Bytes) -> Option<Divided> {
        if bytes.len() as u64 > MAX_COMPONENT_BYTES {
            return None;
        }
        let parts = match &self.way {
            Way::Threads(threads) => on_threads(threads, seat.clone(), move || alone::parts(&bytes)).await,
            Way::Server(server) => server.make(Wanted::Parts, bytes).await,
        };
        Divided::read(&parts.ok()?)
    }
}

/// The seat is kept until it is done, also when nobody waits for it any longer.
async fn on_threads(
    threads: &rayon::ThreadPool,
    seat: Arc<Seat>,
    work: impl FnOnce() -> Result<Vec<u8>, String> + Send + 'static,
) -> Result<Vec<u8>, String> {
    let (done, made) = oneshot::channel();
    threads.spawn(move || {
        let _seat = seat;
        let _ = done.send(work());
    });
    made.await.unwrap_or_else(|_| Err("the compiler panicked on it".into()))
}

fn threads() -> Result<rayon::ThreadPool, WorkerError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(thread::available_parallelism().map_or(1, usize::from))
        .thread_name(|index| format!("sampan-compile-{index}"))
        .start_handler(|_| priority::lower_this_thread())
        .build()
        .map_err(|error| WorkerError::Threads { what: "the compiler", source: std::io::Error::other(error) })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_namespace_that_compiles_all_it_can_leaves_a_place_to_others() {
        let seats = Seats::new(AT_ONCE, AT_ONCE_OF_NAMESPACE);
        let held: Vec<_> = (0..AT_ONCE_OF_NAMESPACE).map(|_| seats.take("greedy").now_or_never().unwrap()).collect();
        let mut waits = Box::pin(seats.take("greedy"));
        assert!((&mut waits).now_or_never().is_none());
        let other = seats.take("other").now_or_never().expect("a place is left to others");
        assert!(seats.take("third").now_or_never().is_none(), "there are no more in all");
        drop((held, other));
        assert!(waits.now_or_never().is_some());
    }
}
