use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::LazyLock,
    time::Duration,
};

use api::outbound::{CONNECT_TIMEOUT, Connect, ConnectError, Reach, parse_address};
use futures::future::BoxFuture;
use tokio::{net::TcpStream, task::spawn_blocking, time::timeout};

use super::parts::Parts;

/// Names that are looked up at a time. Each takes a thread of those that this process also does other things with, and may
/// keep it for longer than anybody waits.
const LOOK_UPS: usize = 64;
/// Of these, for the guests of one namespace: a name server that says nothing holds them for as long as this machine's resolver has
/// patience.
const LOOK_UPS_PER_NAMESPACE: usize = 16;
/// How long a look-up waits until it may begin. Whoever waits longer is told what for.
const LOOK_UP_WAIT: Duration = Duration::from_secs(5);

static SEATS: LazyLock<Parts> = LazyLock::new(|| Parts::new(LOOK_UPS, LOOK_UPS_PER_NAMESPACE));

/// Makes connections from this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirectConnect;

impl Connect for DirectConnect {
    fn connect(
        &self,
        guests: Option<&str>,
        host: &str,
        port: u16,
        reach: Reach,
    ) -> BoxFuture<'static, Result<TcpStream, ConnectError>> {
        let (guests, host) = (guests.map(str::to_owned), host.to_owned());
        Box::pin(async move {
            let connecting = async { connect_any(addresses(guests.as_deref(), &host, port, reach).await?).await };
            timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(ConnectError::Timeout))
        })
    }
}

async fn addresses(guests: Option<&str>, host: &str, port: u16, reach: Reach) -> Result<Vec<SocketAddr>, ConnectError> {
    let mut addresses: Vec<_> = match parse_address(host) {
        Some(address) => vec![SocketAddr::new(address, port)],
        None => {
            let name = host.to_owned();
            let work = move || (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
            look_up(&SEATS, guests, work).await.map_err(|error| ConnectError::Name(error.to_string()))?
        }
    };
    addresses.retain(|address| reach.includes(address.ip()));
    if addresses.is_empty() { Err(ConnectError::Prohibited) } else { Ok(addresses) }
}

async fn look_up(
    seats: &Parts,
    guests: Option<&str>,
    work: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> io::Result<Vec<SocketAddr>> {
    let seat = timeout(LOOK_UP_WAIT, seats.take(guests)).await.map_err(|_| busy(guests))?;
    let looking = spawn_blocking(move || {
        let _seat = seat;
        work()
    });
    looking.await.map_err(io::Error::other)?
}

fn busy(guests: Option<&str>) -> io::Error {
    io::Error::other(format!(
        "not looked up within {} s: guests of namespace `{}` may have {LOOK_UPS_PER_NAMESPACE} look-ups at a time, and those of all \
         namespaces {LOOK_UPS}, and earlier ones still wait for a name server",
        LOOK_UP_WAIT.as_secs(),
        guests.unwrap_or_default(),
    ))
}

async fn connect_any(addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectError> {
    let mut last = ConnectError::Prohibited;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Requests and answers are small: none waits for more.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = ConnectError::Refused(error.to_string()),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_name_server_that_says_nothing_holds_up_the_namespace_that_asks_it_and_no_other() {
        let seats = Arc::new(Parts::new(LOOK_UPS, LOOK_UPS_PER_NAMESPACE));
        let (silent, answers) = mpsc::channel::<()>();
        let answers = Arc::new(parking_lot::Mutex::new(answers));
        let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
        let mut stuck = JoinSet::new();
        for _ in 0..LOOK_UPS {
            let (seats, answers, begun) = (seats.clone(), answers.clone(), begun.clone());
            stuck.spawn(async move {
                let work = move || {
                    let _ = begun.send(());
                    // Until the other end is dropped.
                    let _ = answers.lock().recv();
                    Ok(Vec::new())
                };
                look_up(&seats, Some("shop"), work).await
            });
        }
        for _ in 0..LOOK_UPS_PER_NAMESPACE {
            begins.recv().await.expect("its part begins");
        }
        let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
        for guests in [Some("ops"), None] {
            let found = look_up(&seats, guests, move || Ok(vec![address])).await.expect("others are looked up");
            assert_eq!(found, [address]);
        }
        // Its own others wait, and are told why they do not go on.
        let refused = look_up(&seats, Some("shop"), move || Ok(vec![address])).await.unwrap_err().to_string();
        assert!(refused.contains("`shop`") && refused.contains("16 look-ups") && refused.contains("5 s"), "{refused}");
        for _ in LOOK_UPS_PER_NAMESPACE..LOOK_UPS {
            stuck.join_next().await.expect("one that waited").expect("its task").expect_err("nobody made room for it");
        }
        drop(silent);
        assert!(stuck.join_all().await.into_iter().all(|ended| ended.is_ok()));
    }
}
