//! Compiling in a process of its own, limited in memory and time: a component that is made to exhaust the compiler harms
//! nothing but its own start.
//!
//! The parent sends the component on standard input and reads the artifact from standard output. Standard error has what is
//! wrong with the component.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use crate::{Network, Sandbox, engine, priority};

/// How a component is compiled in a process of its own.
#[derive(Debug, Clone)]
pub struct CompileProcess {
    /// The program that calls [`compile_stdin`].
    pub program: PathBuf,
    /// The arguments that make it do so.
    pub args: Vec<String>,
    /// Address space that it may use.
    pub memory_bytes: u64,
    /// How long it may take.
    pub timeout: Duration,
}

impl CompileProcess {
    /// Address space: some ten times what the largest known components need.
    pub const DEFAULT_MEMORY_BYTES: u64 = 4 << 30;
    /// Time: a minute is much for components of 40 MB on one core.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
    /// Bytes of what it says on standard error that are read.
    const MAX_WORDS_BYTES: u64 = 64 << 10;

    /// The artifact, or why there is none, for people.
    pub(super) async fn compile(&self, component: Bytes) -> Result<Vec<u8>, String> {
        let compiled = tokio::time::timeout(self.timeout, self.run(component)).await;
        compiled.unwrap_or_else(|_| Err(too_late(self.timeout)))
    }

    async fn run(&self, component: Bytes) -> Result<Vec<u8>, String> {
        let failed = |error: io::Error| format!("the compiler's process cannot be used: {error}");
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .arg(self.memory_bytes.to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Whoever no longer waits for it ends it.
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(mut stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err("the compiler's process has no pipes".to_owned());
        };
        let (mut artifact, mut words) = (Vec::new(), String::new());
        let (sent, read, said) = tokio::join!(
            async move {
                // One that has failed reads no further: what it says is worth more than the broken pipe.
                let _ = stdin.write_all(&component).await;
            },
            stdout.read_to_end(&mut artifact),
            async { stderr.take(Self::MAX_WORDS_BYTES).read_to_string(&mut words).await },
        );
        let ((), _, _) = (sent, read.map_err(failed)?, said.map_err(failed)?);
        let status = child.wait().await.map_err(failed)?;
        if status.success() { Ok(artifact) } else { Err(self.explain(status, &words)) }
    }

    fn explain(&self, status: ExitStatus, words: &str) -> String {
        let last = words.trim();
        if status.code() == Some(1) && !last.is_empty() {
            return last.to_owned();
        }
        let limit = self.memory_bytes;
        format!(
            "the compiler ended with {status}, perhaps over its limit of {limit} bytes of memory, which `--compile-memory` \
             raises {last}"
        )
    }
}

/// Why there is no artifact: time is over, which says nothing of the component where the machine is busy.
pub(super) fn too_late(timeout: Duration) -> String {
    let limit = api::format_span(timeout);
    format!("it takes longer than {limit} to compile: it is tried again, and `--compile-timeout` raises the limit")
}

/// Why there is no artifact: what the engine says of the component.
pub(super) fn refused(error: &wasmtime::Error) -> String {
    format!("{error:#}; build it again with a current toolchain")
}

/// What the compiler's process does: reads a component from standard input, and writes the artifact to standard output. The
/// limits hold from its first step on. Fails with what is wrong with the component.
pub fn compile_stdin(memory_bytes: u64) -> Result<(), String> {
    let words = |error: &dyn std::fmt::Display| format!("the compiler's process cannot be used: {error}");
    let limit = Rlimit { current: Some(memory_bytes), maximum: Some(memory_bytes) };
    setrlimit(Resource::As, limit).map_err(|error| words(&error))?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(|error| words(&error))?;
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    priority::lower_this_thread();
    // What is made to break the compiler finds nothing here: bytes come in, code goes out. What the kernel lacks, its worker warned of.
    Sandbox { network: Network::Asked, ..Sandbox::default() }.enter();
    let mut component = Vec::new();
    io::stdin().lock().read_to_end(&mut component).map_err(|error| words(&error))?;
    let engine = engine::compiling().map_err(|error| words(&error))?;
    let artifact = engine.precompile_component(&component).map_err(|error| refused(&error))?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&artifact).and_then(|()| stdout.flush()).map_err(|error| words(&error))
}
