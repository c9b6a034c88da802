//! The life of a process that serves: from its start through a signal to its end.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use registry_client::ImageStore;
use tokio_util::sync::CancellationToken;

use crate::{compose::Roles, diagnostics, screen::Screen, signals};

/// Threads for everything that is not serving requests.
const BACKGROUND_THREADS: usize = 2;
/// What still computes in the background at the end gets this long.
const LAST_WAIT: Duration = Duration::from_millis(200);

/// Where a server can be reached.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    /// `None`: this process is no gateway.
    pub(crate) http: Option<SocketAddr>,
    /// Whether Services answer there by their names.
    pub(crate) names_answer: bool,
    pub(crate) api: SocketAddr,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) images: ImageStore,
    /// Where workers and gateways of other machines join.
    pub(crate) sessions: Option<SocketAddr>,
}

impl Addresses {
    /// Tells a person.
    pub(crate) fn show(&self, screen: Screen) {
        if let Some(http) = self.http {
            let port = http.port();
            if self.names_answer {
                screen.line(format_args!(
                    "  services   http://{http}, each at http://SERVICE.NAMESPACE.localhost:{port}"
                ));
            } else {
                screen.line(format_args!("  services   http://{http}, those that an Ingress names"));
            }
        }
        if let Some(sessions) = self.sessions {
            screen.line(format_args!("  joining    sampan worker --join {sessions} --token-file FILE"));
        }
        screen.line(format_args!("  API        https://{}", self.api));
        screen.line(format_args!("  kubectl    export KUBECONFIG={}", self.kubeconfig.display()));
    }
}

/// Runs roles, and `work` beside them, until a signal comes or either fails.
pub(crate) fn serve<T, S, W>(
    start: impl FnOnce(CancellationToken) -> S,
    work: impl FnOnce(T, CancellationToken) -> W,
) -> anyhow::Result<()>
where
    S: Future<Output = anyhow::Result<(T, Roles)>>,
    W: Future<Output = anyhow::Result<()>>,
{
    run(|shutdown| async move {
        signals::watch(shutdown.clone(), signals::END_AFTER).context("signals cannot be received")?;
        let (started, mut roles) = start(shutdown.clone()).await?;
        let worked = tokio::select! {
            // `work` ends by itself when it is told to; the roles end early only by failing.
            ended = roles.ended() => ended,
            worked = work(started, shutdown.clone()) => worked,
        };
        shutdown.cancel();
        let ended = roles.ended().await;
        worked.and(ended)
    })
}

/// Runs `work` with threads for what is not serving requests, and lets go of what is left at its end.
pub(crate) fn run<W>(work: impl FnOnce(CancellationToken) -> W) -> anyhow::Result<()>
where
    W: Future<Output = anyhow::Result<()>>,
{
    diagnostics::init();
    runtime::keep_first_priority().context("threads cannot be started")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(BACKGROUND_THREADS)
        .thread_name("background")
        // What follows requests, such as what is decided and written after a replica has started, is not to hold them up.
        .on_thread_start(runtime::lower_this_thread)
        .enable_all()
        .build()
        .context("threads cannot be started")?;
    let result = runtime.block_on(work(CancellationToken::new()));
    runtime.shutdown_timeout(LAST_WAIT);
    result
}
