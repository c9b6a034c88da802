//! Compiling for a worker that may not start programs: a process that was started before it gave that up does it.
//!
//! The worker hands each compile a connection of its own, over a socket that both have had since the start. When either
//! end goes away, so does the compile.

use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{CompileProcess, exchange, process::too_late};

/// What the server has beyond the limit of a compile, to say that it was passed.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// A process that compiles for this one, each component in a limited process. It ends with this one.
#[derive(Debug, Clone)]
pub struct CompileServer(Arc<Running>);

#[derive(Debug)]
struct Running {
    control: UnixStream,
    child: Mutex<Child>,
    memory_bytes: u64,
    timeout: Duration,
}

impl CompileServer {
    /// Starts `process.program` with these arguments, which make it call [`serve_compiles`](crate::serve_compiles) with
    /// the same `process`.
    ///
    /// To be called from the main thread: the server ends with the thread that started it.
    pub fn start(process: &CompileProcess, args: &[String]) -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        let child = Command::new(&process.program)
            .args(args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // A terminal's Ctrl-C is for the worker, which may still need it.
            .process_group(0)
            .spawn()?;
        let (memory_bytes, timeout) = (process.memory_bytes, process.timeout);
        Ok(Self(Arc::new(Running { control, child: Mutex::new(child), memory_bytes, timeout })))
    }

    /// The artifact, or why there is none, for people.
    pub(super) async fn compile(&self, component: Bytes) -> Result<Vec<u8>, String> {
        match tokio::time::timeout(self.0.timeout + LAST_WORDS, self.ask(component)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(self.explain(&error)),
            Err(_) => Err(too_late(self.0.timeout)),
        }
    }

    async fn ask(&self, component: Bytes) -> io::Result<Result<Vec<u8>, String>> {
        let (ours, theirs) = UnixStream::pair()?;
        exchange::hand_over(&self.0.control, theirs)?;
        let mut connection = exchange::connection(ours)?;
        exchange::send(&mut connection, &component).await?;
        // An artifact fits into the memory of what makes it.
        exchange::receive_answer(&mut connection, self.0.memory_bytes).await
    }

    fn explain(&self, error: &io::Error) -> String {
        match self.0.child.lock().try_wait() {
            Ok(Some(status)) => {
                format!(
                    "the compile server has ended with {status}: nothing is compiled until this worker is restarted"
                )
            }
            _ => format!("the compile server cannot be used: {error}"),
        }
    }
}
