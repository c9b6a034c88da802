//! The connection to Redis: made once for all who want it, given up when it broke, and never waited for without end.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use api::{
    KeyValueError,
    outbound::{Connect, Reach},
};
use futures::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, RedisError, RedisResult, ScriptInvocation, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    runtime::Handle,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::settings::{Place, RedisSettings};

/// How long a connection may take to be made, with its handshake and its login.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// The way to one Redis.
pub(super) struct Link {
    settings: RedisSettings,
    connect: Arc<dyn Connect>,
    background: Handle,
    current: Mutex<Option<Connecting>>,
    /// Whether the log says that it is not reached.
    told: Arc<AtomicBool>,
}

/// A connection that all wait for who want one.
type Connecting = Shared<BoxFuture<'static, Result<Live, Arc<str>>>>;

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    /// It is not to be used again.
    ended: Arc<AtomicBool>,
}

/// What becomes of an operation whose connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It reads: it is done again.
    Once,
    /// It writes, and may have been done.
    Never,
}

/// What is asked of Redis.
pub(super) enum Request {
    Command(Cmd),
    Script(ScriptInvocation<'static>),
}

impl Request {
    async fn send(&self, connection: &mut MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Self::Command(command) => command.query_async(connection).await,
            Self::Script(call) => call.invoke_async(connection).await,
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Link {
    pub(super) fn new(settings: RedisSettings, connect: Arc<dyn Connect>) -> Self {
        Self { settings, connect, background: Handle::current(), current: Mutex::default(), told: Arc::default() }
    }

    /// Makes sure that there is a connection.
    pub(super) async fn connect(&self) -> Result<(), KeyValueError> {
        self.live().await.map(drop)
    }

    /// Asks over a connection that is there when it begins.
    pub(super) async fn run(&self, repeat: Repeat, request: &Request) -> Result<Value, KeyValueError> {
        let mut repeats = repeat == Repeat::Once;
        loop {
            let mut live = self.live().await?;
            let error = match request.send(&mut live.connection).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let (lost, late) = (is_lost(&error), error.is_timeout());
            if lost || late {
                live.ended.store(true, Relaxed);
            }
            // What did not answer in time would hardly do so now.
            if !lost || late || !std::mem::take(&mut repeats) {
                return Err(self.failed(&error));
            }
        }
    }

    fn failed(&self, error: &RedisError) -> KeyValueError {
        // Guests are told not where it is; the log says that.
        tracing::debug!(store = %self.settings, %error, "an operation of the key-value store failed");
        KeyValueError::Store(if error.is_timeout() {
            format!("Redis does not answer within {}", api::format_span(ANSWER))
        } else if error.is_io_error() {
            format!("the connection to Redis broke: {error}")
        } else {
            format!("Redis answers: {error}")
        })
    }

    async fn live(&self) -> Result<Live, KeyValueError> {
        let unreached = |why: &str| Err(KeyValueError::Store(format!("Redis is not reached: {why}")));
        for _ in 0..2 {
            let connecting = self.connecting();
            match connecting.await {
                // It ended after it was made, which nobody had seen yet.
                Ok(live) if live.ended.load(Relaxed) => {}
                Ok(live) => return Ok(live),
                Err(why) => return unreached(&why),
            }
        }
        unreached("connections are closed as soon as they are made")
    }

    /// The connection that is there or on its way, or a new one.
    fn connecting(&self) -> Connecting {
        let mut current = self.current.lock();
        let is_usable = |connecting: &Connecting| match connecting.peek() {
            None => true,
            Some(made) => made.as_ref().is_ok_and(|live| !live.ended.load(Relaxed)),
        };
        if let Some(connecting) = current.as_ref().filter(|connecting| is_usable(connecting)) {
            return connecting.clone();
        }
        // In a task of its own: whoever waits for it may leave, and their threads are not the connection's.
        let making = self.background.spawn(make(self.settings.clone(), self.connect.clone(), self.told.clone()));
        let made = making.unwrap_or_else(|error| Err(error.to_string().into())).boxed().shared();
        current.insert(made).clone()
    }
}

/// Whether the connection is of no use any more: it broke, or leads to who may not write any more.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

async fn make(settings: RedisSettings, connect: Arc<dyn Connect>, told: Arc<AtomicBool>) -> Result<Live, Arc<str>> {
    let made = timeout(CONNECT, open(&settings, &*connect)).await;
    let made = made.unwrap_or_else(|_| Err(format!("no answer within {}", api::format_span(CONNECT))));
    match &made {
        Ok(_) if told.swap(false, Relaxed) => tracing::info!(store = %settings, "the key-value store is reached again"),
        Ok(_) => tracing::debug!(store = %settings, "connected to the key-value store"),
        Err(why) if !told.swap(true, Relaxed) => {
            tracing::warn!(store = %settings, why, "the key-value store is not reached: guests' operations fail until it is");
        }
        Err(_) => {}
    }
    made.map_err(Into::into)
}

async fn open(settings: &RedisSettings, connect: &dyn Connect) -> Result<Live, String> {
    let stream = dial(settings, connect).await.map_err(|error| error.to_string())?;
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER));
    let made = MultiplexedConnection::new_with_config(&settings.login, stream, config).await;
    let (connection, driver) = made.map_err(|error| error.to_string())?;
    let ended = Arc::new(AtomicBool::new(false));
    let mut live = Live { connection, ended: ended.clone() };
    tokio::spawn(async move {
        driver.await;
        ended.store(true, Relaxed);
    });
    // One that wants a password, or still reads its files, says so here.
    let ready: RedisResult<()> = redis::cmd("PING").query_async(&mut live.connection).await;
    ready.map(|()| live).map_err(|error| error.to_string())
}

async fn dial(settings: &RedisSettings, connect: &dyn Connect) -> io::Result<Box<dyn Stream>> {
    let stream = match &settings.place {
        Place::Socket(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        Place::Tcp(host, port) => connect.connect(None, host, *port, Reach::Any).await.map_err(io::Error::other)?,
    };
    match &settings.tls {
        None => Ok(Box::new(stream)),
        Some(tls) => Ok(Box::new(TlsConnector::from(tls.config.clone()).connect(tls.name.clone(), stream).await?)),
    }
}
