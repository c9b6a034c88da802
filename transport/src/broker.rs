//! A process in a sandbox opens nothing itself: it asks its broker, which started it. What the broker opens for it is passed on as a
//! descriptor, over a socket that both have had since the start. So who asks is known by the socket, whatever it says of itself.
//!
//! Who asks sends one packet, and is answered by one.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream as BlockingStream,
    },
    sync::Arc,
};

use api::WorkerName;
use futures::future::BoxFuture;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use crate::descriptor;

/// The longest packet: a worker's name and a path.
const MAX_PACKET_BYTES: usize = 8 << 10;
/// Questions of one process that wait to be sent. Beyond it, they wait where they are asked.
const WAITING: usize = 64;
/// How an answer begins that no descriptor comes with; why follows.
const REFUSED: &str = "refused ";
const OPENED: &str = "opened";

/// What a process asks its broker for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A connection to its control plane.
    Control,
    /// A connection to who makes those to hosts outside.
    Connect,
    /// A connection to who gives compiled components.
    Artifact,
    /// The socket at which it takes requests.
    Requests,
    /// A connection to where another worker of this machine takes requests.
    Worker {
        /// Which worker.
        name: WorkerName,
        /// The path of its socket, as the control plane has said.
        socket: String,
    },
}

impl Wanted {
    fn packet(&self) -> String {
        match self {
            Self::Control => "control".to_owned(),
            Self::Connect => "connect".to_owned(),
            Self::Artifact => "artifact".to_owned(),
            Self::Requests => "requests".to_owned(),
            Self::Worker { name, socket } => format!("worker {name} {socket}"),
        }
    }

    fn parse(packet: &str) -> Option<Self> {
        Some(match packet {
            "control" => Self::Control,
            "connect" => Self::Connect,
            "artifact" => Self::Artifact,
            "requests" => Self::Requests,
            other => {
                let (name, socket) = other.strip_prefix("worker ")?.split_once(' ')?;
                Self::Worker { name: WorkerName(name.into()), socket: socket.to_owned() }
            }
        })
    }
}

/// Opens for one process what that may have.
pub trait Broker: Send + Sync {
    /// What is asked for, or why it is not given, for people.
    fn open(&self, wanted: Wanted) -> BoxFuture<'_, io::Result<OwnedFd>>;
}

/// The broker's end of the socket.
pub struct BrokerSocket(BlockingStream);

impl BrokerSocket {
    /// With the end that the process is to have as its standard input. It is closed with either end's process.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(ours.into()), theirs))
    }

    /// Answers one question after the other until the process has gone. To be called within a runtime.
    pub async fn serve(self, broker: Arc<dyn Broker>) -> io::Result<()> {
        self.0.set_nonblocking(true)?;
        let socket = UnixStream::from_std(self.0)?;
        let mut packet = vec![0; MAX_PACKET_BYTES];
        loop {
            // A descriptor that comes along is closed.
            let (length, _) = descriptor::receive(&socket, &mut packet).await?;
            if length == 0 {
                return Ok(());
            }
            let wanted = std::str::from_utf8(&packet[..length]).ok().and_then(Wanted::parse);
            let unknown = || io::Error::new(io::ErrorKind::InvalidInput, "nobody knows what was asked for");
            let opened = match wanted {
                Some(wanted) => broker.open(wanted).await,
                None => Err(unknown()),
            };
            match opened {
                Ok(opened) => descriptor::send(&socket, OPENED.as_bytes(), Some(opened.as_fd())).await?,
                Err(error) => {
                    let mut answer = format!("{REFUSED}{error}");
                    answer.truncate(answer.floor_char_boundary(MAX_PACKET_BYTES));
                    descriptor::send(&socket, answer.as_bytes(), None).await?;
                }
            }
        }
    }
}

/// The way to the broker of this process. Clones share it.
#[derive(Clone)]
pub struct BrokerClient {
    asks: mpsc::Sender<Ask>,
    gone: CancellationToken,
}

struct Ask {
    wanted: Wanted,
    answer: oneshot::Sender<io::Result<OwnedFd>>,
}

impl BrokerClient {
    /// Over the socket that is this process' standard input. To be called within a runtime, once.
    pub fn of_standard_input() -> io::Result<Self> {
        Self::over(io::stdin().as_fd().try_clone_to_owned()?)
    }

    pub(crate) fn over(socket: OwnedFd) -> io::Result<Self> {
        let socket = BlockingStream::from(socket);
        socket.set_nonblocking(true)?;
        let (asks, asked) = mpsc::channel(WAITING);
        let gone = CancellationToken::new();
        tokio::spawn(ask_all(UnixStream::from_std(socket)?, asked, gone.clone()));
        Ok(Self { asks, gone })
    }

    /// Asks for something.
    pub async fn open(&self, wanted: Wanted) -> io::Result<OwnedFd> {
        let has_gone = || io::Error::new(io::ErrorKind::BrokenPipe, "who started this process has gone");
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask { wanted, answer }).await.map_err(|_| has_gone())?;
        answered.await.map_err(|_| has_gone())?
    }

    /// Asks for a connection.
    pub async fn connection(&self, wanted: Wanted) -> io::Result<UnixStream> {
        let stream = BlockingStream::from(self.open(wanted).await?);
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    }

    /// Is cancelled when the broker has gone, and with it the reason to run.
    pub fn gone(&self) -> &CancellationToken {
        &self.gone
    }
}

/// One after the other, each to its end, also when nobody waits for it any longer: the next answer is never taken for it.
async fn ask_all(socket: UnixStream, mut asked: mpsc::Receiver<Ask>, gone: CancellationToken) {
    let _gone = gone.drop_guard();
    let mut unasked = [0];
    loop {
        tokio::select! {
            ask = asked.recv() => {
                let Some(Ask { wanted, answer }) = ask else { return };
                match exchange(&socket, &wanted).await {
                    Ok(opened) => _ = answer.send(opened),
                    Err(error) => {
                        let _ = answer.send(Err(error));
                        return;
                    }
                }
            }
            // It says nothing that was not asked for, but its end.
            _ = descriptor::receive(&socket, &mut unasked) => return,
        }
    }
}

async fn exchange(socket: &UnixStream, wanted: &Wanted) -> io::Result<io::Result<OwnedFd>> {
    descriptor::send(socket, wanted.packet().as_bytes(), None).await?;
    let mut answer = vec![0; MAX_PACKET_BYTES];
    let (length, opened) = descriptor::receive(socket, &mut answer).await?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let answer = String::from_utf8_lossy(&answer[..length]);
    Ok(opened.ok_or_else(|| {
        let why = answer.strip_prefix(REFUSED).unwrap_or("it was answered with nothing").to_owned();
        io::Error::new(io::ErrorKind::PermissionDenied, why)
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::*;

    /// Gives connections that say what was asked for.
    struct Says;

    impl Broker for Says {
        fn open(&self, wanted: Wanted) -> BoxFuture<'_, io::Result<OwnedFd>> {
            Box::pin(async move {
                if wanted == Wanted::Requests {
                    return Err(io::Error::other("not here"));
                }
                let (near, far) = BlockingStream::pair()?;
                near.set_nonblocking(true)?;
                UnixStream::from_std(near)?.write_all(wanted.packet().as_bytes()).await?;
                Ok(far.into())
            })
        }
    }

    async fn said(client: &BrokerClient, wanted: Wanted) -> String {
        let mut said = String::new();
        client.connection(wanted).await.unwrap().read_to_string(&mut said).await.unwrap();
        said
    }

    #[tokio::test]
    async fn each_is_given_what_it_asked_for_and_a_refusal_says_why() {
        let (socket, theirs) = BrokerSocket::pair().unwrap();
        let serving = tokio::spawn(socket.serve(Arc::new(Says)));
        let client = BrokerClient::over(theirs).unwrap();
        let worker = Wanted::Worker { name: WorkerName("m-2".into()), socket: "/a path/m-2.sock".to_owned() };
        let (control, other) = tokio::join!(said(&client, Wanted::Control), said(&client, worker));
        assert_eq!((control.as_str(), other.as_str()), ("control", "worker m-2 /a path/m-2.sock"));
        // Who no longer waits leaves its answer to nobody else.
        let _ = timeout(Duration::ZERO, client.open(Wanted::Control)).await;
        assert_eq!(said(&client, Wanted::Connect).await, "connect");
        assert_eq!(client.open(Wanted::Requests).await.unwrap_err().to_string(), "not here");
        drop(client);
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_nobody_knows_is_refused_and_the_end_of_the_broker_is_told() {
        let (socket, theirs) = BrokerSocket::pair().unwrap();
        let serving = tokio::spawn(socket.serve(Arc::new(Says)));
        let raw = UnixStream::from_std({
            let stream = BlockingStream::from(theirs.try_clone().unwrap());
            stream.set_nonblocking(true).unwrap();
            stream
        });
        let raw = raw.unwrap();
        for nonsense in ["root shell", "worker", "worker x", "\u{0}"] {
            descriptor::send(&raw, nonsense.as_bytes(), Some(theirs.as_fd())).await.unwrap();
            let mut answer = [0; 100];
            let (length, opened) = descriptor::receive(&raw, &mut answer).await.unwrap();
            assert!(opened.is_none() && answer[..length].starts_with(REFUSED.as_bytes()), "{nonsense}");
        }
        drop(raw);
        let client = BrokerClient::over(theirs).unwrap();
        serving.abort();
        client.gone().cancelled().await;
        assert!(client.open(Wanted::Control).await.is_err());
    }
}
