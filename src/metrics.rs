//! What a process counts, in the text format of Prometheus.

use std::{convert::Infallible, fmt::Write, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use gateway::Gateway;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};
use transport::ControlPlaneClient;

/// Connections at a time; beyond, they wait.
const CONNECTIONS: usize = 16;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);

/// Where a process offers what it counts.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct MetricsArgs {
    /// Where `/metrics` answers, for Prometheus
    #[arg(long, env = "SAMPAN_METRICS", value_name = "IP:PORT", value_parser = crate::config::address)]
    metrics: Option<SocketAddr>,
}

/// What the roles of a process count.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) gateway: Option<Gateway>,
    pub(crate) control_plane: Option<ControlPlaneClient>,
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
    loop {
        let seat = seats.clone().acquire_owned().await?;
        let Ok((stream, _)) = listener.accept().await else { continue };
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let _seat = seat;
            let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(metrics.answer(&request))));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD);
            // Who reads metrics comes again if the connection broke.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
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
            text.family(
                "sampan_control_plane_reached",
                "gauge",
                "Whether a session with the control plane is connected.",
            );
            text.value("sampan_control_plane_reached", &[], reached);
        }
        if let Some(gateway) = &self.gateway {
            text.gateway(&gateway.measurements());
        }
        text.0
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn gateway(&mut self, measured: &gateway::Measurements) {
        self.family("sampan_gateway_connections", "gauge", "Open connections of clients.");
        self.value("sampan_gateway_connections", &[], measured.connections as u64);
        self.family("sampan_gateway_refusals_total", "counter", "Requests that the gateway answered itself.");
        for (reason, count) in &measured.refusals {
            self.value("sampan_gateway_refusals_total", &[("reason", reason.as_str())], *count);
        }
        type Read = fn(&gateway::ServiceMeasurement) -> u64;
        let families: [(&str, &str, &str, Read); 7] = [
            ("sampan_service_requests_total", "counter", "Requests that arrived.", |service| service.arrivals),
            ("sampan_service_completed_total", "counter", "Requests that ended.", |service| service.completed),
            ("sampan_service_failed_total", "counter", "Requests that ended with a failure.", |service| service.failed),
            ("sampan_service_retries_total", "counter", "Requests sent to another replica.", |service| service.retries),
            ("sampan_service_in_flight", "gauge", "Requests being served.", |service| u64::from(service.in_flight)),
            ("sampan_service_queued", "gauge", "Requests that wait.", |service| u64::from(service.queued)),
            ("sampan_service_replicas", "gauge", "Replicas that take requests.", |service| service.replicas as u64),
        ];
        for (name, kind, help, read) in families {
            self.family(name, kind, help);
            for service in &measured.services {
                let labels = [("namespace", &*service.service.namespace), ("service", &*service.service.name)];
                self.value(name, &labels, read(service));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_prometheus_reads_them() {
        let mut text = Text::default();
        text.family("a_total", "counter", "What it is.");
        text.value("a_total", &[("namespace", "shop"), ("service", "cart")], 3);
        text.value("a_total", &[], 4);
        assert_eq!(
            text.0,
            "# HELP a_total What it is.\n# TYPE a_total counter\na_total{namespace=\"shop\",service=\"cart\"} 3\na_total 4\n"
        );
    }
}
