//! HTTP/1.1 with a connection for each request in flight, against HTTP/2 with one for all, between two processes over a Unix
//! socket, as between a gateway's thread and a worker. Prints a line for each protocol, number of requests at a time, and size
//! of the answer: requests per second and the latencies of one in two and of 99 in 100, in microseconds.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    convert::Infallible,
    env,
    error::Error,
    path::Path,
    process::{Child, Command},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{UnixListener, UnixStream},
    runtime,
    task::LocalSet,
};

const MEASURED: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    if let [_, serve, protocol, socket] = &env::args().collect::<Vec<_>>()[..]
        && serve == "serve"
    {
        return on_one_thread(self::serve(protocol, socket));
    }
    let folder = tempfile::tempdir()?;
    for bytes in [300, 64 << 10] {
        for at_a_time in [1, 16, 64] {
            let mut rounds: BTreeMap<&str, Vec<Figures>> = BTreeMap::new();
            for round in 0..ROUNDS {
                for protocol in ["http1", "http2"] {
                    let socket = folder.path().join(format!("{protocol}-{round}-{bytes}-{at_a_time}"));
                    let figures =
                        with_server(protocol, &socket, || on_one_thread(load(protocol, &socket, at_a_time, bytes)))?;
                    rounds.entry(protocol).or_default().push(figures);
                }
            }
            for (protocol, mut figures) in rounds {
                figures.sort_by_key(|figures| figures.per_second);
                let Figures { per_second, p50, p99 } = figures[ROUNDS / 2];
                println!("{protocol} {at_a_time} {bytes} {per_second} {} {}", p50.as_micros(), p99.as_micros());
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Figures {
    per_second: u64,
    p50: Duration,
    p99: Duration,
}

fn on_one_thread<T>(future: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, future)
}

fn with_server<T>(protocol: &str, socket: &Path, run: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    struct Server(Child);
    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let _server = Server(Command::new(env::current_exe()?).args(["serve", protocol]).arg(socket).spawn()?);
    while !socket.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    run()
}

async fn serve(protocol: &str, socket: &str) -> Outcome<()> {
    let listener = UnixListener::bind(socket)?;
    let answer = |request: Request<Incoming>| async move {
        let bytes = request.uri().path().trim_start_matches('/').parse().unwrap_or(0);
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; bytes]))))
    };
    loop {
        let stream = TokioIo::new(listener.accept().await?.0);
        if protocol == "http1" {
            tokio::task::spawn_local(
                hyper::server::conn::http1::Builder::new().serve_connection(stream, service_fn(answer)),
            );
        } else {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::task::spawn_local(builder.serve_connection(stream, service_fn(answer)));
        }
    }
}

async fn load(protocol: &str, socket: &Path, at_a_time: usize, bytes: usize) -> Outcome<Figures> {
    let latencies = Rc::new(RefCell::new(Vec::new()));
    let began = Instant::now();
    let shared = if protocol == "http2" { Some(connect_http2(socket).await?) } else { None };
    let mut callers = Vec::new();
    for _ in 0..at_a_time {
        let latencies = latencies.clone();
        let mut own = if shared.is_none() { Some(connect_http1(socket).await?) } else { None };
        let mut shared = shared.clone();
        callers.push(tokio::task::spawn_local(async move {
            while began.elapsed() < MEASURED {
                let asked = Instant::now();
                let request = Request::get(format!("http://replica/{bytes}")).body(Empty::new()).expect("a request");
                let answer = match (&mut own, &mut shared) {
                    (Some(own), _) => {
                        own.ready().await.expect("connected");
                        own.send_request(request).await
                    }
                    (None, Some(shared)) => shared.send_request(request).await,
                    (None, None) => unreachable!("one of them is there"),
                };
                let body = answer.expect("an answer").into_body().collect().await.expect("a body").to_bytes();
                assert_eq!(body.len(), bytes);
                latencies.borrow_mut().push(asked.elapsed());
            }
        }));
    }
    for caller in callers {
        caller.await?;
    }
    let elapsed = began.elapsed();
    let mut latencies = latencies.take();
    latencies.sort();
    let at = |share: usize| latencies[(latencies.len() * share / 100).min(latencies.len() - 1)];
    let per_second = (latencies.len() as f64 / elapsed.as_secs_f64()) as u64;
    Ok(Figures { per_second, p50: at(50), p99: at(99) })
}

async fn connect_http1(socket: &Path) -> Outcome<http1::SendRequest<Empty<Bytes>>> {
    let (sender, connection) = http1::handshake(TokioIo::new(UnixStream::connect(socket).await?)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

async fn connect_http2(socket: &Path) -> Outcome<http2::SendRequest<Empty<Bytes>>> {
    let stream = TokioIo::new(UnixStream::connect(socket).await?);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}
