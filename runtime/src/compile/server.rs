//! Compiling by a process that does nothing else, has no files and reaches nobody: it is given components, and gives artifacts back,
//! as descriptors, over a socket that only it and who started it have.

use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::exchange::{self, Wanted};

/// What the server has beyond the limit of a compile, to say that it was passed.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How components are compiled in processes of their own.
#[derive(Debug, Clone)]
pub struct CompileProcess {
    /// The program that calls [`serve_compiles`](crate::serve_compiles).
    pub program: PathBuf,
    /// The arguments that make it do so, with the same limits.
    pub args: Vec<String>,
    /// Address space that a compile may use, and bytes that its artifact may have.
    pub memory_bytes: u64,
    /// How long a compile may take.
    pub timeout: Duration,
}

impl CompileProcess {
    /// Address space: some ten times what the largest known components need.
    pub const DEFAULT_MEMORY_BYTES: u64 = 4 << 30;
    /// Time: a minute is much for components of 40 MB on one core.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
}

/// A process that compiles for this one, each component in a process of its own. It begins when it is first needed, and again
/// should it end; and ends with this one. Clones share it.
#[derive(Debug, Clone)]
pub struct CompileServer(Arc<Server>);

#[derive(Debug)]
struct Server {
    process: CompileProcess,
    running: Mutex<Option<Running>>,
}

/// It ends when its socket is closed.
#[derive(Debug)]
struct Running {
    control: UnixStream,
    child: Child,
}

impl CompileServer {
    /// One that has not been started yet.
    pub fn new(process: CompileProcess) -> Self {
        Self(Arc::new(Server { process, running: Mutex::default() }))
    }

    /// Starts it before it is needed, for who cannot do so later.
    pub fn start(&self) -> io::Result<()> {
        let mut running = self.0.running.lock();
        if running.is_none() {
            *running = Some(self.0.process.start()?);
        }
        Ok(())
    }

    /// What is wanted of a component, or why there is none, for people.
    pub(super) async fn make(&self, wanted: Wanted, component: Bytes) -> Result<Vec<u8>, String> {
        let timeout = self.0.process.timeout;
        match tokio::time::timeout(timeout + LAST_WORDS, self.ask(wanted, component)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(format!("the compile server cannot be used: {error}")),
            Err(_) => Err(too_late(timeout)),
        }
    }

    async fn ask(&self, wanted: Wanted, component: Bytes) -> io::Result<Result<Vec<u8>, String>> {
        let server = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let (ours, theirs) = UnixStream::pair()?;
            let component = exchange::memory(&component)?;
            exchange::seal(&component)?;
            server.hand_over(wanted, &component, &theirs)?;
            Ok::<_, io::Error>(ours)
        });
        let mut answer = exchange::connection(asked.await.map_err(io::Error::other)??)?;
        exchange::receive_answer(&mut answer, self.0.process.memory_bytes).await
    }
}

impl Server {
    /// Gives the process a component, which is started if there is none.
    fn hand_over(&self, wanted: Wanted, component: &std::fs::File, answer: &UnixStream) -> io::Result<()> {
        let mut running = self.running.lock();
        if let Some(status) = running.as_mut().and_then(Running::ended) {
            tracing::warn!(%status, "the compile server has ended, and is started again");
            *running = None;
            let again = |error| io::Error::other(format!("it has ended with {status}, and cannot be started: {error}"));
            *running = Some(self.process.start().map_err(again)?);
        }
        let server = match &mut *running {
            Some(server) => server,
            none => none.insert(self.process.start()?),
        };
        exchange::hand_over(&server.control, wanted, component, answer)
    }
}

impl Running {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl CompileProcess {
    fn start(&self) -> io::Result<Running> {
        let (control, theirs) = UnixStream::pair()?;
        let child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // A terminal's Ctrl-C is for this process, which may still need it.
            .process_group(0)
            .spawn()?;
        Ok(Running { control, child })
    }
}

/// Why there is no artifact: time is over, which says nothing of the component where the machine is busy.
pub(super) fn too_late(timeout: Duration) -> String {
    let limit = api::format_span(timeout);
    format!("it takes longer than {limit} to compile: it is tried again, and `--compile-timeout` raises the limit")
}
