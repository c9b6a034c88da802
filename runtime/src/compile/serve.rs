//! The other end of a [`CompileServer`](super::CompileServer).

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream as BlockingStream},
    sync::Arc,
};

use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::{io::AsyncReadExt, net::UnixStream, sync::Semaphore};

use super::{AT_ONCE, CompileProcess, exchange};

/// What the compile server's process does: it takes connections from its standard input, which is a socket of the worker,
/// and compiles a component from each, in a process of its own. Ends when the worker closes the socket or ends.
pub fn serve_compiles(process: CompileProcess) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let control = BlockingStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { serve(&exchange::connection(control)?, Arc::new(process)).await })
}

async fn serve(control: &UnixStream, process: Arc<CompileProcess>) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        // The worker keeps to as many too. One that does not waits, and nothing of it is read meanwhile.
        let permit = permits.clone().acquire_owned().await.map_err(io::Error::other)?;
        let Some(connection) = exchange::take_over(control).await? else { return Ok(()) };
        let process = process.clone();
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = answer(connection, &process).await {
                tracing::debug!(%error, "a compile was given up");
            }
        });
    }
}

async fn answer(mut connection: UnixStream, process: &CompileProcess) -> io::Result<()> {
    let receiving = exchange::receive(&mut connection, registry_client::MAX_COMPONENT_BYTES);
    let component = tokio::time::timeout(process.timeout, receiving).await??;
    let (mut from_worker, mut to_worker) = connection.split();
    let compiled = tokio::select! {
        compiled = process.compile(component.into()) => compiled,
        // The worker says no more: it has gone, or no longer waits for this.
        _ = from_worker.read_u8() => return Ok(()),
    };
    tokio::time::timeout(process.timeout, exchange::send_answer(&mut to_worker, &compiled)).await?
}
