//! What a process counts, in the text format of Prometheus.

mod families;
mod text;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use api::{
    ACCEPT_PAUSE, Accepting, AfterAccept,
    http1::{Checked, Refuse, Refused, Violation},
};
use control_plane::{Measurements, Peers};
use gateway::Gateway;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};
use transport::ControlPlaneClient;

use text::Text;

use crate::client::forward::is_this_machine;

#[cfg(test)]
pub(crate) use families::FAMILIES;

/// Connections at a time; beyond, they wait.
const CONNECTIONS: usize = 16;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);

/// Where a process offers what it counts.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct MetricsArgs {
    /// Where `/metrics` answers, for Prometheus: without a token, so keep it on loopback, or in a network of your own
    #[arg(long, env = "SAMPAN_METRICS", value_name = "IP:PORT", value_parser = crate::config::address)]
    metrics: Option<SocketAddr>,
}

/// What the roles of a process count.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) gateway: Option<Gateway>,
    pub(crate) control_plane: Option<ControlPlaneClient>,
    pub(crate) autoscalers: Option<Measurements>,
    pub(crate) peers: Option<Peers>,
}

impl MetricsArgs {
    /// Takes the address, if there is one. The answer serves for ever.
    pub(crate) async fn offer(
        &self,
        metrics: Metrics,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + use<>> {
        let listener = match self.metrics {
            Some(address) => {
                let bound = TcpListener::bind(address).await;
                Some(bound.with_context(|| {
                    format!("metrics cannot be offered at {address}: choose another with --metrics")
                })?)
            }
            None => None,
        };
        Ok(async move {
            match listener {
                Some(listener) => serve(listener, metrics).await,
                None => std::future::pending().await,
            }
        })
    }
}

async fn serve(listener: TcpListener, metrics: Metrics) -> anyhow::Result<()> {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    let address = listener.local_addr()?;
    let mut accepting = Accepting::default();
    loop {
        let seat = seats.clone().acquire_owned().await?;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                match accepting.failed(&error) {
                    AfterAccept::GoOn => tracing::debug!(%error, "a connection to /metrics failed"),
                    AfterAccept::Pause { first } => {
                        if first {
                            tracing::warn!(%error, "connections to /metrics cannot be accepted");
                        }
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
                continue;
            }
        };
        accepting.accepted();
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let _seat = seat;
            let service =
                service_fn(|request| std::future::ready(Ok::<_, Infallible>(metrics.answer(&request, address))));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD);
            // Who reads metrics comes again if the connection broke.
            let _ = http.serve_connection(TokioIo::new(Checked::new(stream, InText)), service).await;
        });
    }
}

/// What is wrong with a request, in a line.
struct InText;

impl Refuse for InText {
    fn refuse(&self, violation: Violation) -> Refused {
        Refused { content_type: "text/plain; charset=utf-8", body: format!("{violation}\n") }
    }
}

/// On loopback, asks for a name that leads nowhere else: a web page elsewhere can have its own name lead here, and read what is answered.
/// The error is the name.
fn check_host(headers: &HeaderMap, address: SocketAddr) -> Result<(), String> {
    let host = headers.get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes())).unwrap_or_default();
    if !address.ip().to_canonical().is_loopback() || is_this_machine(&host) { Ok(()) } else { Err(host.into_owned()) }
}

fn refusal(status: StatusCode, why: String) -> Response<Full<bytes::Bytes>> {
    let mut refusal = Response::new(Full::from(why));
    *refusal.status_mut() = status;
    let kind = http::HeaderValue::from_static("text/plain; charset=utf-8");
    refusal.headers_mut().insert(header::CONTENT_TYPE, kind);
    refusal
}

impl Metrics {
    fn answer(&self, request: &Request<Incoming>, address: SocketAddr) -> Response<Full<bytes::Bytes>> {
        if let Err(host) = check_host(request.headers(), address) {
            let why = format!("`{host}` is not this machine's name: ask for http://{address}/metrics\n");
            return refusal(StatusCode::FORBIDDEN, why);
        }
        if request.uri().path() != "/metrics" {
            return refusal(StatusCode::NOT_FOUND, "there is only /metrics here\n".to_owned());
        }
        let mut response = Response::new(Full::from(self.text()));
        let kind = http::HeaderValue::from_static("text/plain; version=0.0.4");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }

    fn text(&self) -> String {
        let mut text = Text::default();
        if let Some(client) = &self.control_plane {
            let reached = u64::from(client.is_connected());
            text.single(&families::CONTROL_PLANE_REACHED, reached);
        }
        if let Some(gateway) = &self.gateway {
            text.gateway(&gateway.measurements());
        }
        if let Some(measurements) = &self.autoscalers {
            text.autoscalers(&measurements.autoscalers());
            text.refusals(measurements);
            if let Some(lost) = measurements.lost_audit_events() {
                text.single(&families::AUDIT_LOST, lost);
            }
        }
        if let Some(peers) = &self.peers {
            text.peers(&peers.refused());
        }
        text.0
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    /// What is answered at an address to who asks for a host.
    async fn asked(address: SocketAddr, host: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn on_loopback_nobody_reads_metrics_under_the_name_of_another_site() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, Metrics::default()));
        for own in [address.to_string(), format!("localhost:{}", address.port()), "[::1]".to_owned()] {
            let answer = asked(address, &own).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{own}: {answer}");
        }
        for foreign in ["evil.example", "localhost.evil.example", "192.0.2.1", "evil.example:9100"] {
            let answer = asked(address, foreign).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{foreign}: {answer}");
            assert!(answer.contains(&format!("`{foreign}`")) && answer.contains(&address.to_string()), "{answer}");
        }
        serving.abort();
    }

    #[tokio::test]
    async fn where_others_reach_metrics_these_answer_to_whatever_name_they_have_there() {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let address = SocketAddr::new("127.0.0.1".parse().unwrap(), listener.local_addr().unwrap().port());
        let serving = tokio::spawn(serve(listener, Metrics::default()));
        assert!(asked(address, "server.example").await.starts_with("HTTP/1.1 200"));
        serving.abort();
    }
}
