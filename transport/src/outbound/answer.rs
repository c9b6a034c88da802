use std::{
    io,
    os::fd::AsFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use api::{
    ACCEPT_PAUSE, Accepting, AfterAccept,
    outbound::{Connect, ConnectError, Reach},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    CONNECTS, descriptor,
    message::{Asked, MAX_ASKED_BYTES, answer},
};
use crate::peer::{bind_private, is_own_user};

/// How long who has connected may take to say what it asks for, and to take the answer.
const LINE: Duration = Duration::from_secs(2);

/// Who may ask, and for what.
pub trait Permit: Send + Sync {
    /// Whether this process, named by its id, is answered at all.
    fn admits(&self, process: u32) -> bool;
    /// Which addresses a host may have, if it may be connected to on this port now.
    fn allow(&self, host: &str, port: u16) -> Option<Reach>;
}

/// Where a process is answered that may make no connections itself.
pub struct ConnectListener(UnixListener);

impl ConnectListener {
    /// Listens at a Unix socket, in place of what an earlier process left there. To be called within a runtime.
    pub fn bind(socket: &Path) -> io::Result<Self> {
        bind_private(socket).map(Self)
    }
}

/// Makes connections for who asks, as far as `permit` lets it, and passes them on. It answers until it is dropped.
pub async fn serve_connects(listener: ConnectListener, permit: Arc<dyn Permit>, connect: Arc<dyn Connect>) {
    let desk = Arc::new(Desk { permit, connect, told: AtomicBool::new(false) });
    let (seats, mut answering) = (Arc::new(Semaphore::new(CONNECTS)), JoinSet::new());
    let mut accepting = Accepting::default();
    loop {
        // The semaphore is never closed.
        let seat = seats.clone().acquire_owned().await;
        match listener.0.accept().await {
            Ok((stream, _)) if desk.admits(&stream) => {
                accepting.accepted();
                let desk = desk.clone();
                answering.spawn(async move {
                    let _seat = seat;
                    if let Err(error) = desk.serve(stream).await {
                        tracing::debug!(%error, "who asked for a connection has gone");
                    }
                });
            }
            Ok(_) => accepting.accepted(),
            Err(error) => match accepting.failed(&error) {
                AfterAccept::GoOn => tracing::debug!(%error, "a request for a connection failed"),
                AfterAccept::Pause { first } => {
                    if first {
                        tracing::warn!(%error, "requests for connections cannot be accepted");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
        while answering.try_join_next().is_some() {}
    }
}

/// Answers the requests of one process.
struct Desk {
    permit: Arc<dyn Permit>,
    connect: Arc<dyn Connect>,
    /// Whether the log says that it asks for what it may not have.
    told: AtomicBool,
}

impl Desk {
    fn admits(&self, stream: &UnixStream) -> bool {
        let process = stream.peer_cred().ok().and_then(|peer| peer.pid()?.try_into().ok());
        is_own_user(stream) && process.is_some_and(|process| self.permit.admits(process))
    }

    async fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        let asked = timeout(LINE, asked(&mut stream)).await??;
        let mut more = [0];
        let connected = tokio::select! {
            connected = self.connected(&asked) => connected,
            // It says nothing more: it has gone.
            _ = stream.read(&mut more) => return Ok(()),
        };
        let line = answer(&connected);
        // From here on it is no runtime's of this process.
        let connection = connected.ok().map(TcpStream::into_std).transpose()?;
        timeout(LINE, descriptor::send(&stream, line.as_bytes(), connection.as_ref().map(AsFd::as_fd))).await?
    }

    async fn connected(&self, asked: &Asked) -> Result<TcpStream, ConnectError> {
        let Asked { host, port, reach } = asked;
        let Some(allowed) = self.permit.allow(host, *port) else {
            // By itself a worker refuses this, unless its replica has been stopped just now.
            if !self.told.swap(true, Relaxed) {
                tracing::warn!(host, port, "a worker's process asked for a connection that no grant names: refused");
            }
            return Err(ConnectError::NotGranted);
        };
        self.connect.connect(host, *port, allowed.narrowed_to(*reach)).await
    }
}

async fn asked(stream: &mut UnixStream) -> io::Result<Asked> {
    let mut line = String::new();
    BufReader::new(stream).take(MAX_ASKED_BYTES as u64).read_line(&mut line).await?;
    let asked = line.strip_suffix('\n').and_then(Asked::parse);
    asked.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no request for a connection"))
}
