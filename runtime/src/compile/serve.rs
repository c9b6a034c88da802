//! The other end of a [`CompileServer`](super::CompileServer).

use std::{
    fs::File,
    io::{self, Read, Seek},
    os::{
        fd::{AsFd, AsRawFd, RawFd},
        unix::{net::UnixStream as BlockingStream, process::ExitStatusExt},
    },
    process::ExitStatus,
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::{io::AsyncReadExt, net::UnixStream, sync::Semaphore};

use super::{
    AT_ONCE,
    alone::{self, Alone, Work},
    exchange::{self, Wanted},
    server::too_late,
};
use crate::{engine::Code, sandbox};

/// Standard output, which leads nowhere, and standard error.
const STANDARD: [RawFd; 2] = [1, 2];
/// A server has fewer descriptors than this.
const DESCRIPTORS: libc::c_uint = 1024;

/// What is done with each component, and for how long.
struct Service {
    /// Where its artifact is wanted.
    alone: Alone,
    timeout: Duration,
}

impl Service {
    fn alone(&self, wanted: Wanted) -> Alone {
        match wanted {
            Wanted::Artifact => self.alone,
            Wanted::Parts => Alone { work: alone::parts, ..self.alone },
        }
    }
}

/// What the compile server's process does: it takes components from its standard input, which is a socket of who started it, and has
/// each compiled by a copy of itself. It has given up all files, and all of the kernel but what it needs for that; the copies give up
/// more. Ends when who started it closes the socket or ends.
///
/// To be called on the main thread, before there are others: a process of more threads cannot be copied.
pub fn serve_compiles(code: Code, memory_bytes: u64, timeout: Duration) -> io::Result<()> {
    serve_work(alone::compiles(code), memory_bytes, timeout)
}

/// As [`serve_compiles`], but that the copies do this in place of compiling: in builds for tests, to try what a component could that
/// has taken over its compiler.
#[cfg(debug_assertions)]
pub fn serve_instead(work: Work, memory_bytes: u64, timeout: Duration) -> io::Result<()> {
    serve_work(work, memory_bytes, timeout)
}

fn serve_work(work: Work, memory_bytes: u64, timeout: Duration) -> io::Result<()> {
    // Read from files, which are closed afterwards.
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let service = Service { alone: Alone { work, memory_bytes, threads }, timeout };
    let control = BlockingStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // What cannot be given up here, the workers warn of.
    let _ = sandbox::enter_as_compile_server();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { serve(&exchange::connection(control)?, &service).await })
}

async fn serve(control: &UnixStream, service: &Service) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        // Who asks keeps to as many too. One that does not waits, and nothing of it is read meanwhile.
        let permit = permits.clone().acquire_owned().await.map_err(io::Error::other)?;
        let Some((wanted, component, asker)) = exchange::take_over(control).await? else { return Ok(()) };
        let (alone, timeout) = (service.alone(wanted), service.timeout);
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = answer(component, asker, alone, timeout).await {
                tracing::debug!(%error, "a compile was given up");
            }
        });
    }
}

async fn answer(component: File, mut asker: UnixStream, alone: Alone, timeout: Duration) -> io::Result<()> {
    let mut artifact = exchange::memory(&[])?;
    let (ours, theirs) = BlockingStream::pair()?;
    let compile = Compile::begin(component, artifact.try_clone()?, theirs, alone)?;
    let mut ours = exchange::connection(ours)?;
    let (mut end, mut gone) = ([0], [0]);
    let in_time = tokio::select! {
        // It says nothing: its end is closed with it.
        ended = tokio::time::timeout(timeout, ours.read(&mut end)) => ended.is_ok(),
        // Who asked says no more: it has gone, or no longer waits for this.
        _ = asker.read(&mut gone) => return Ok(()),
    };
    let status = compile.end()?;
    let answer = match status.code() {
        _ if !in_time => Err(too_late(timeout)),
        Some(alone::COMPILED) => Ok(artifact),
        Some(alone::REFUSED) => {
            let mut words = Vec::new();
            artifact.rewind()?;
            artifact.take(exchange::MAX_WORDS_BYTES as u64).read_to_end(&mut words)?;
            Err(String::from_utf8_lossy(&words).into_owned())
        }
        _ => Err(format!(
            "the compiler ended with {status}, perhaps over its limit of {} bytes of memory, which `--compile-memory` raises",
            alone.memory_bytes
        )),
    };
    exchange::send_answer(&asker, answer).await
}

/// A copy of this process that compiles one component. It ends when this is dropped.
struct Compile(Option<Pid>);

impl Compile {
    /// It keeps `alive` as long as it runs.
    #[allow(unsafe_code, reason = "the standard library copies no process, but to start a program in it")]
    fn begin(component: File, mut artifact: File, alive: BlockingStream, alone: Alone) -> io::Result<Self> {
        // SAFETY: this process has one thread, so no lock is held by another, and all that may be called afterwards.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                close_all_but(&[component.as_raw_fd(), artifact.as_raw_fd(), alive.as_raw_fd()]);
                let code = alone::run(alone, &component, &mut artifact);
                // SAFETY: it never returns. What belongs to the process that was copied is not ended here a second time.
                unsafe { libc::_exit(code) }
            }
            child => Ok(Self(Pid::from_raw(child))),
        }
    }

    /// Ends it, unless it has ended by itself, and says how.
    fn end(mut self) -> io::Result<ExitStatus> {
        self.kill()
    }

    fn kill(&mut self) -> io::Result<ExitStatus> {
        let child = self.0.take().ok_or(io::ErrorKind::NotFound)?;
        // One that has ended keeps its status.
        let _ = kill_process(child, Signal::KILL);
        let (_, status) = waitpid(Some(child), WaitOptions::empty())?.ok_or(io::ErrorKind::NotFound)?;
        Ok(ExitStatus::from_raw(status.as_raw()))
    }
}

impl Drop for Compile {
    fn drop(&mut self) {
        if self.0.is_some() {
            let _ = self.kill();
        }
    }
}

/// Closes what was copied with the process and is not for it: the socket on which others are asked for above all.
#[allow(
    unsafe_code,
    reason = "no owner of these descriptors will close them: this process is a copy of the one that has it"
)]
fn close_all_but(kept: &[RawFd]) {
    let is_kept = |descriptor: &libc::c_uint| {
        let mut all = STANDARD.iter().chain(kept);
        !all.any(|kept| u32::try_from(*kept) == Ok(*descriptor))
    };
    // SAFETY: what owns them is never used in this process, nor dropped.
    (0..DESCRIPTORS).filter(is_kept).for_each(|descriptor| unsafe {
        libc::close(descriptor as RawFd);
    });
}
