//! A pull process from inside: the other end of a [`Puller`](super::Puller).

use std::{
    env,
    fs::File,
    io::{self, Read},
    os::{fd::AsFd, unix::net::UnixStream as BlockingStream},
    path::PathBuf,
    sync::Arc,
};

use api::PullPolicy;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use super::{
    Registries, Request, Shelf,
    asker::Asker,
    exchange::{Line, Said, Task, Work},
    puller::AUTHORITIES,
};
use crate::{
    Access, ImageError, ImageReference, Progress, Step, VerifyingKeys, answers_once, blobs::MAX_COMPONENT_BYTES,
};

/// Address space of a pull process: what the allocator, libraries and threads map without using it (1.1 GiB), and an image several
/// times.
const MAX_MEMORY_BYTES: u64 = 2 << 30;
/// Files, and connections to registries.
const MAX_DESCRIPTORS: u64 = 128;

/// What a pull process needs of this machine for what it is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullNeeds {
    /// The network, as who asks there: connections, names and the system's authorities; these in other files than the usual.
    Network(Vec<PathBuf>),
    /// Nothing.
    Nothing,
}

/// What a pull process does: it takes one task from its standard input, which is a socket of who started it, gives up with `enter`
/// all that it does not need, and carries the task out. Ends once that is done, or who started it has ended.
///
/// To be called on the main thread, before there are others.
pub fn serve_pull(enter: impl FnOnce(PullNeeds)) -> io::Result<()> {
    serve(enter, || {})
}

/// As [`serve_pull`], but that it does this before it pulls: in builds for tests, to try what a registry could that has taken it over.
#[cfg(debug_assertions)]
pub fn serve_pull_after(enter: impl FnOnce(PullNeeds), first: impl FnOnce()) -> io::Result<()> {
    serve(enter, first)
}

fn serve(enter: impl FnOnce(PullNeeds), first: impl FnOnce()) -> io::Result<()> {
    let stream = BlockingStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // It has no thread before it is needed.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let line = runtime.block_on(async { Line::new(stream) })?;
    let Some((task, file)) = runtime.block_on(line.receive::<Task>())? else { return Ok(()) };
    confine()?;
    enter(match task.work {
        Work::AnswersOnce => PullNeeds::Nothing,
        _ => PullNeeds::Network(AUTHORITIES.iter().filter_map(|name| env::var_os(name).map(PathBuf::from)).collect()),
    });
    first();
    let asker = Arc::new(Asker::new(line));
    let done = runtime.block_on(async {
        tokio::select! {
            done = carry_out(task, file, asker.clone()) => done,
            () = asker.keep_telling() => Ok(()),
        }
    });
    // What blocks a thread is not waited for.
    runtime.shutdown_background();
    match done {
        // Who started it has ended, or wants no more.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
        done => done,
    }
}

/// Limits this process, whatever it is made to do.
fn confine() -> io::Result<()> {
    let only = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::As, only(MAX_MEMORY_BYTES))?;
    // It writes blobs alone.
    setrlimit(Resource::Fsize, only(MAX_COMPONENT_BYTES))?;
    setrlimit(Resource::Nofile, only(MAX_DESCRIPTORS))?;
    setrlimit(Resource::Core, only(0))?;
    // Who started it kills it in the end; this is for one that is killed itself.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}

async fn carry_out(task: Task, file: Option<File>, asker: Arc<Asker>) -> io::Result<()> {
    let Task { work, settings, namespace, credentials } = task;
    let access = Access::told(namespace, credentials, asker.clone());
    let done = match work {
        Work::Pull { reference } => match pull(settings.into(), reference, access, &asker).await {
            // It has been told already.
            Ok(()) => return Ok(()),
            Err(error) => Err(error.to_string()),
        },
        Work::Verify { reference, digest, keys } => {
            async {
                let registries = Registries::of(settings.into()).map_err(|error| error.to_string())?;
                let keys = VerifyingKeys::parse(&keys).map_err(|error| error.to_string())?;
                Ok(Said::Signed(registries.find_signature(&reference, &digest, &keys, &access).await?))
            }
            .await
        }
        Work::AnswersOnce => {
            read(file).map(|bytes| Said::MadeBy(answers_once(&bytes))).map_err(|error| error.to_string())
        }
    };
    asker.tell(&done.unwrap_or_else(Said::Failed)).await
}

async fn pull(
    settings: crate::RegistrySettings,
    reference: ImageReference,
    access: Access,
    asker: &Arc<Asker>,
) -> Result<(), ImageError> {
    let registries = Registries::of(settings)?;
    let told = asker.clone();
    let progress = Progress::to(move |step| match step {
        Step::Begins => {}
        Step::Transferred { bytes, total } => told.transferred(bytes, total),
    });
    let written = reference.as_written().to_owned();
    let request = Request { reference: written, policy: PullPolicy::Always, access, progress, signed_by: None };
    registries.pull_from_any(Shelf::Asker(asker), &request, &reference).await.map(drop)
}

fn read(file: Option<File>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.ok_or(io::ErrorKind::NotFound)?.take(MAX_COMPONENT_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
