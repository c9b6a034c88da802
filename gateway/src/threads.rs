//! The serving threads: each a runtime, listeners and connections of its own.

use std::{
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use api::{ACCEPT_PAUSE, Accepting, AfterAccept};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::LocalSet,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    OverloadAction,
    front::{Admitted, Hall, Opens, admit, serve},
    shared::Shared,
    spread::{Handed, Lane},
};

/// Listeners on their way to a thread.
const OPENING: usize = 256;

/// Connections wait for so long, after the start, until it is known which routes there are. If the control plane is not
/// reached by then, they are told so: 503, as nobody knows whether their hosts are unknown.
const ROUTES_WITHIN: Duration = Duration::from_secs(5);

/// A listener for one thread.
pub(crate) struct Opening {
    pub(crate) socket: TcpListener,
    pub(crate) opens: Opens,
    /// This thread's share of the listener's connections.
    pub(crate) lane: Lane,
    /// Once cancelled it accepts no more, and its connections end with the requests that they have. A child of the
    /// shutdown token.
    pub(crate) closed: CancellationToken,
}

/// A running thread. It ends when its shutdown token is cancelled and its connections are drained.
pub(crate) struct ServingThread {
    pub(crate) openings: mpsc::Sender<Opening>,
    pub(crate) ended: oneshot::Receiver<()>,
}

/// Starts a thread that has one listener already.
pub(crate) fn start(
    shared: Arc<Shared>,
    number: usize,
    first: Opening,
    shutdown: CancellationToken,
) -> io::Result<ServingThread> {
    let (openings, receiver) = mpsc::channel(OPENING);
    let (ends, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let start = shared.config.start_thread;
    let serve = move || {
        let local = LocalSet::new();
        local.block_on(&runtime, run(shared, first, receiver, shutdown));
        // What did not end in time is cut off, and its permits freed, before the end is told.
        drop(local);
        let _ = ends.send(());
    };
    start(format!("gateway-{number}"), Box::new(serve))?;
    Ok(ServingThread { openings, ended })
}

async fn run(shared: Arc<Shared>, first: Opening, mut openings: mpsc::Receiver<Opening>, shutdown: CancellationToken) {
    let drain = shared.config.drain;
    let tasks = TaskTracker::new();
    let turned_away = TaskTracker::new();
    let listeners = TaskTracker::new();
    let listen = |Opening { socket, opens, lane, closed }| {
        let hall =
            Hall { shared: shared.clone(), tasks: tasks.clone(), turned_away: turned_away.clone(), draining: closed };
        listeners.spawn_local(accept(hall, socket, opens, lane));
    };
    listen(first);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(opening) = openings.recv() => listen(opening),
        }
    }
    tasks.close();
    if timeout(drain, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "requests did not end within {drain:?} and are cut off");
    }
}

/// While memory is short, connections wait in the system.
async fn accept_unless_overloaded(
    hall: &Hall,
    listener: &tokio::net::TcpListener,
) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        // It is looked at each time that a connection has come, so that none is taken that came after memory got short.
        let accepted = poll_fn(|cx| match hall.shared.overload.is_taken(OverloadAction::StopAcceptingConnections) {
            true => Poll::Ready(None),
            false => listener.poll_accept(cx).map(Some),
        });
        match accepted.await {
            Some(accepted) => return accepted,
            None => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn accept(hall: Hall, socket: TcpListener, opens: Opens, mut lane: Lane) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener cannot be watched"),
    };
    tokio::select! {
        () = hall.draining.cancelled() => return,
        _ = timeout(ROUTES_WITHIN, hall.shared.routes_known()) => {}
    }
    let (mut accepting, mut short) = (Accepting::default(), false);
    loop {
        let accepted = tokio::select! {
            biased;
            () = hall.draining.cancelled() => return,
            Handed { seat, stream, peer } = lane.handed() => {
                if let Ok(stream) = TcpStream::from_std(stream) {
                    serve(&hall, &opens, seat, stream, peer);
                }
                continue;
            }
            accepted = accept_unless_overloaded(&hall, &listener) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                accepting.accepted();
                match admit(&hall, lane.seat(), stream, peer) {
                    Admitted::Seated(seat, stream) => {
                        if let Some((seat, stream)) = lane.hand_over(seat, stream, peer) {
                            serve(&hall, &opens, seat, stream, peer);
                        }
                        short = false;
                    }
                    Admitted::TurnedAway => {}
                    Admitted::NoDescriptors => {
                        if !std::mem::replace(&mut short, true) {
                            let descriptors = hall.shared.config.descriptors;
                            tracing::warn!(
                                descriptors,
                                "no connections are accepted: the other descriptors are kept for what goes on"
                            );
                        }
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
            Err(error) => match accepting.failed(&error) {
                AfterAccept::GoOn => tracing::debug!(%error, "a connection failed before it was accepted"),
                AfterAccept::Pause { first } => {
                    if first {
                        tracing::warn!(%error, "connections cannot be accepted");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}
