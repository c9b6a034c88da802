//! The composition root: the only place that knows which roles this process plays and how they are joined.
//!
//! A role is joined to the others by constructors alone: a session is a pair of channels or a stream, a replica is reached
//! by a call or a connection. Neither side of either can tell.

mod config;
mod confinement;
mod door;
mod gateway;
#[cfg(debug_assertions)]
mod hostile;
#[cfg(debug_assertions)]
mod hostile_pull;
mod images;
mod joining;
mod nearby;
mod partition;
mod process;
mod pulling;
mod rules;
mod scratch;
mod server;
mod single;
mod supervisor;
mod up;
mod worker;

pub(crate) use config::{collection, machine_name};
pub(crate) use confinement::confine;
pub(crate) use gateway::gateway;
#[cfg(debug_assertions)]
pub(crate) use hostile::{HOSTILE, hostile};
#[cfg(debug_assertions)]
pub(crate) use hostile_pull::pull_as_if_taken_over;
pub(crate) use partition::{Sharing, partition};
pub(crate) use pulling::pull_process;
pub(crate) use server::{ServerPlan, server};
pub(crate) use single::{SingleNews, SinglePlan, single};
pub(crate) use up::{Audience, up};
pub(crate) use worker::{WorkerPlan, worker};

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::paths::DataDir;

/// What requests in flight get at the end. The whole end takes five seconds at most.
const DRAIN: Duration = Duration::from_secs(3);

/// The roles of this process while they run.
pub(crate) struct Roles {
    tasks: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
    /// The first failure, from when it was noticed until it is told.
    failed: Option<anyhow::Error>,
}

impl Roles {
    fn new(shutdown: &CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), shutdown: shutdown.clone(), failed: None }
    }

    fn spawn(&mut self, what: &'static str, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.tasks.spawn(async move {
            let ran = task.await.with_context(|| format!("{what} failed"));
            tracing::debug!("{what} has ended");
            ran
        });
    }

    /// Runs what ends this process for a reason of its own, which is told as it is.
    fn watch(&mut self, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until all of them have ended: because of `shutdown`, or because one did and took the others along. Whoever waited in
    /// vain may wait again: a failure is told to who waits to the end.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.tasks.join_next().await {
            self.shutdown.cancel();
            let ended = ended.context("a part of Sampan failed in a way that it should not").flatten();
            self.failed = self.failed.take().or(ended.err());
        }
        self.failed.take().map_or(Ok(()), Err)
    }
}

/// Makes a directory in the data directory.
fn make_private(dir: &Path) -> anyhow::Result<()> {
    private_files::create_dir(dir)
        .with_context(|| format!("the directory {} cannot be made: choose another with --data-dir", dir.display()))
}

/// Writes down where the gateway of a data directory answers, for clients of this machine.
fn note_gateway(dir: &DataDir, address: SocketAddr) -> anyhow::Result<()> {
    let file = dir.gateway();
    private_files::write(&file, format!("{address}\n").as_bytes())
        .with_context(|| format!("{} cannot be written", file.display()))
}

/// One session, and then no other.
fn only<S>(session: S) -> impl FnMut() -> Option<S> {
    let mut session = Some(session);
    move || session.take()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[tokio::test]
    async fn a_failure_is_told_to_who_waits_to_the_end_though_another_waited_before() {
        let shutdown = CancellationToken::new();
        let mut roles = Roles::new(&shutdown);
        roles.watch(async { Err(anyhow!("it cannot run")) });
        let (go_on, told_to) = tokio::sync::oneshot::channel::<()>();
        roles.spawn("another", async move { Ok(told_to.await?) });
        tokio::select! {
            ended = roles.ended() => panic!("the other goes on: {ended:?}"),
            // The failure has been noticed by then.
            () = shutdown.cancelled() => {}
        }
        go_on.send(()).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), roles.ended()).await.unwrap();
        assert_eq!(ended.unwrap_err().to_string(), "it cannot run");
    }
}
