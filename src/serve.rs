//! The life of a server process: from its start through a signal to its end.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use registry_client::ImageStore;
use tokio_util::sync::CancellationToken;

use crate::{compose, config::ServerArgs, diagnostics, screen::Screen, signals};

/// Threads for everything that is not serving requests.
const BACKGROUND_THREADS: usize = 2;
/// What still computes in the background at the end gets this long.
const LAST_WAIT: Duration = Duration::from_millis(200);

/// Where a server can be reached.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) api: SocketAddr,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) images: ImageStore,
}

impl Addresses {
    /// Tells a person.
    pub(crate) fn show(&self, screen: Screen) {
        let port = self.http.port();
        screen
            .line(format_args!("  services   http://{}, each at http://SERVICE.NAMESPACE.localhost:{port}", self.http));
        screen.line(format_args!("  API        https://{}", self.api));
        screen.line(format_args!("  kubectl    export KUBECONFIG={}", self.kubeconfig.display()));
    }
}

/// Runs a server, and `work` beside it, until a signal comes or either fails.
pub(crate) fn serve<W>(args: &ServerArgs, work: impl FnOnce(Addresses, CancellationToken) -> W) -> anyhow::Result<()>
where
    W: Future<Output = anyhow::Result<()>>,
{
    diagnostics::init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(BACKGROUND_THREADS)
        .thread_name("background")
        .enable_all()
        .build()
        .context("threads cannot be started")?;
    let result = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        signals::watch(shutdown.clone()).context("signals cannot be received")?;
        let (addresses, mut roles) = compose::start(args, &shutdown).await?;
        let worked = tokio::select! {
            // `work` ends by itself when it is told to; the roles end early only by failing.
            ended = roles.ended() => ended,
            worked = work(addresses, shutdown.clone()) => worked,
        };
        shutdown.cancel();
        let ended = roles.ended().await;
        worked.and(ended)
    });
    runtime.shutdown_timeout(LAST_WAIT);
    result
}
