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
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};
use transport::ControlPlaneClient;

use text::Text;

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
            let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(metrics.answer(&request))));
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

impl Metrics {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<bytes::Bytes>> {
        if request.uri().path() != "/metrics" {
            let mut missing = Response::new(Full::from("there is only /metrics here\n"));
            *missing.status_mut() = StatusCode::NOT_FOUND;
            return missing;
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
