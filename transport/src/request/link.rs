//! The way to one worker: its connections, and whether it answers.

use std::{
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use api::Body;
use http::{HeaderValue, Request, Version};
use hyper::client::conn::http1;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    RequestLimits,
    connect::Way,
    headers::PING,
    pool::{self, Sender},
};

static NEXT: AtomicU64 = AtomicU64::new(1);

/// The way to one worker.
pub(super) struct Link {
    /// Tells links apart in the pools of threads.
    pub(super) number: u64,
    pub(super) limits: RequestLimits,
    way: Way,
    worker: String,
    reachable: AtomicBool,
    /// Counts how often it was lost.
    losses: watch::Sender<u64>,
    /// Dropped with the link, it ends the connections that wait, on whichever threads they are.
    gone: DropGuard,
    /// Once it is cancelled, its silence is as it should be.
    until: CancellationToken,
}

impl Link {
    pub(super) fn new(worker: String, way: Way, limits: RequestLimits, until: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            number: NEXT.fetch_add(1, Relaxed),
            limits,
            way,
            worker,
            reachable: AtomicBool::new(true),
            losses: watch::Sender::new(0),
            gone: CancellationToken::new().drop_guard(),
            until,
        })
    }

    /// A connection that waited for a request, or a new one. Says whether it is new.
    pub(super) async fn connection(&self) -> io::Result<(Sender, bool)> {
        match pool::take(self.number) {
            Some(sender) => Ok((sender, false)),
            None => self.connect().await.map(|sender| (sender, true)),
        }
    }

    /// A new connection, whatever waits.
    pub(super) async fn connect(&self) -> io::Result<Sender> {
        let (stream, revoked) = self.way.connect(&self.limits).await?;
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(false)
            .handshake::<_, Body>(stream)
            .await
            .map_err(io::Error::other)?;
        let gone = self.gone.token().clone();
        // It ends with the sender, when the worker closes it or its certificate is revoked, or with the link, which each request has until its answer has
        // ended; what fails is told to the request.
        tokio::spawn(async move {
            tokio::select! {
                _ = connection => {}
                () = gone.cancelled() => {}
                () = revoked => {}
            }
        });
        Ok(sender)
    }

    pub(super) fn keep(&self, sender: Sender) {
        pool::put(self.number, sender, self.limits.max_idle, self.limits.idle_for);
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.reachable.load(Relaxed)
    }

    /// It refused a connection, broke one, or missed a heartbeat: until it answers again, others are asked.
    pub(super) fn set_lost(&self, why: &str) {
        if self.reachable.swap(false, Relaxed) {
            if self.until.is_cancelled() {
                tracing::debug!(worker = self.worker, why, "the worker has ended");
            } else {
                tracing::warn!(
                    worker = self.worker,
                    why,
                    "the worker does not answer: its replicas get no requests until it does"
                );
            }
            self.losses.send_modify(|losses| *losses += 1);
        }
    }

    fn set_reachable(&self) {
        if !self.reachable.swap(true, Relaxed) {
            tracing::info!(worker = self.worker, "the worker answers again");
        }
    }

    /// Resolves when it is lost, or at once if it is.
    pub(super) fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let lost_now = !self.is_reachable();
        let mut losses = self.losses.subscribe();
        async move {
            // Its end means that the link is gone, and nobody asks any more.
            if !lost_now && losses.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }
}

/// Asks the worker again and again whether it is alive, as long as somebody has the link.
pub(super) async fn watch_over(link: Weak<Link>) {
    let mut connection: Option<Sender> = None;
    loop {
        let Some(link) = link.upgrade() else { return };
        let every = link.limits.ping_every;
        let asked = Instant::now();
        let answered = match timeout(link.limits.lost_after, ping(&link, connection.take())).await {
            Ok(Ok(sender)) => {
                connection = Some(sender);
                Ok(())
            }
            Ok(Err(error)) => Err(error.to_string()),
            // If this thread itself was late, the worker's answer may have been in time.
            Err(_) if asked.elapsed() > link.limits.lost_after + every => Ok(()),
            Err(_) => Err(format!("no answer for {:?}", link.limits.lost_after)),
        };
        match answered {
            Ok(()) => link.set_reachable(),
            Err(why) => link.set_lost(&why),
        }
        drop(link);
        sleep(every.saturating_sub(asked.elapsed()).max(Duration::from_millis(1))).await;
    }
}

async fn ping(link: &Link, connection: Option<Sender>) -> io::Result<Sender> {
    let mut sender = match connection.filter(|sender| !sender.is_closed()) {
        Some(sender) => sender,
        None => link.connect().await?,
    };
    let mut request = Request::new(api::empty_body());
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().insert(PING, HeaderValue::from_static("1"));
    sender.ready().await.map_err(io::Error::other)?;
    sender.send_request(request).await.map_err(io::Error::other)?;
    Ok(sender)
}
