use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream as BlockingStream,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use api::outbound::{Connect, ConnectError, Reach};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{TcpStream, UnixStream},
    sync::Semaphore,
    time::timeout,
};

use super::{
    CONNECTS,
    message::{Asked, MAX_ASKED_BYTES, answer},
};
use crate::descriptor;

/// How long who has connected may take to say what it asks for, and to take the answer.
const LINE: Duration = Duration::from_secs(2);

/// What one process may have.
pub trait Permit: Send + Sync {
    /// Which addresses a host may have, if guests of this namespace there may be connected to it on this port now; `None`: the process
    /// itself.
    fn allow(&self, guests: Option<&str>, host: &str, port: u16) -> Option<Reach>;
}

/// Makes connections for one process, as far as its permit lets it, and passes them on. Clones share its seats.
#[derive(Clone)]
pub struct ConnectDesk {
    desk: Arc<Desk>,
    seats: Arc<Semaphore>,
}

impl ConnectDesk {
    /// For the process that has this permit.
    pub fn new(permit: Arc<dyn Permit>, connect: Arc<dyn Connect>) -> Self {
        let desk = Arc::new(Desk { permit, connect, told: AtomicBool::new(false) });
        Self { desk, seats: Arc::new(Semaphore::new(CONNECTS)) }
    }

    /// The process' end of a connection over which it may ask for one, once there is room. To be called within a runtime.
    pub async fn open(&self) -> io::Result<OwnedFd> {
        let seat = self.seats.clone().acquire_owned().await.map_err(io::Error::other)?;
        // This end is nobody else's: who has the other cannot make it block.
        let (ours, theirs) = BlockingStream::pair()?;
        ours.set_nonblocking(true)?;
        let (stream, desk) = (UnixStream::from_std(ours)?, self.desk.clone());
        tokio::spawn(async move {
            let _seat = seat;
            if let Err(error) = desk.serve(stream).await {
                tracing::debug!(%error, "who asked for a connection has gone");
            }
        });
        Ok(theirs.into())
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
        let Asked { host, port, reach, guests } = asked;
        let Some(allowed) = self.permit.allow(guests.as_deref(), host, *port) else {
            // By itself a worker refuses this, unless its replica has been stopped just now.
            if !self.told.swap(true, Relaxed) {
                tracing::warn!(host, port, "a worker's process asked for a connection that no grant names: refused");
            }
            return Err(ConnectError::NotGranted);
        };
        self.connect.connect(guests.as_deref(), host, *port, allowed.narrowed_to(*reach)).await
    }
}

async fn asked(stream: &mut UnixStream) -> io::Result<Asked> {
    let mut line = String::new();
    BufReader::new(stream).take(MAX_ASKED_BYTES as u64).read_line(&mut line).await?;
    let asked = line.strip_suffix('\n').and_then(Asked::parse);
    asked.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no request for a connection"))
}
