//! A port of this machine in front of one Service: requests go to the gateway under the Service's name.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use api::{ACCEPT_PAUSE, Accepting, AfterAccept, Body};
use bytes::Bytes;
use futures::TryFutureExt;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri,
    header::{CONTENT_TYPE, HOST},
    uri::Authority,
};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use serde_json::json;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::terminal::print_error;

/// Connections at a time; beyond, they wait.
const CONNECTIONS: usize = 256;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);

/// Where requests go.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    gateway: Authority,
    host: HeaderValue,
    client: Client<HttpConnector, Incoming>,
}

impl Forward {
    /// To this gateway, under this name.
    pub(crate) fn new(gateway: SocketAddr, host: &str) -> anyhow::Result<Self> {
        Ok(Self {
            gateway: gateway.to_string().parse().context("the gateway's address cannot be asked for")?,
            host: HeaderValue::from_str(host).context("the Service's name cannot be asked for")?,
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    async fn pass(self, request: Request<Incoming>) -> Result<Response<Body>, std::convert::Infallible> {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        // A web page elsewhere can have its own name lead here.
        if !is_this_machine(host) {
            let message = format!("`{host}` is not this machine's name: ask for localhost or 127.0.0.1");
            return Ok(refusal(StatusCode::FORBIDDEN, &message));
        }
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = Uri::builder().scheme("http").authority(self.gateway.clone()).path_and_query(path).build();
        let Ok(uri) = uri else { return Ok(refusal(StatusCode::BAD_REQUEST, "the request's target is no path")) };
        parts.uri = uri;
        parts.headers.insert(HOST, self.host.clone());
        match self.client.request(Request::from_parts(parts, body)).await {
            Ok(answer) => {
                Ok(answer.map(|body| body.map_err(|error| api::BodyError::Closed(error.to_string())).boxed_unsync()))
            }
            Err(error) => {
                let message = format!("the gateway at {} does not answer: {error}; does the server run?", self.gateway);
                print_error(format_args!("error: {message}"));
                Ok(refusal(StatusCode::BAD_GATEWAY, &message))
            }
        }
    }
}

fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    let text = json!({"error": {"status": status.as_u16(), "message": message}}).to_string();
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether a host, with or without a port, is a name that this machine has for itself alone.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Forwards until it is dropped.
pub(crate) async fn forward(listener: TcpListener, to: Forward) -> anyhow::Result<()> {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    let mut accepting = Accepting::default();
    loop {
        let seat = seats.clone().acquire_owned().await?;
        let stream = match listener.accept().await {
            Ok((stream, _)) => {
                accepting.accepted();
                stream
            }
            Err(error) => {
                if let AfterAccept::Pause { .. } = accepting.failed(&error) {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        let to = to.clone();
        tokio::spawn(async move {
            let _seat = seat;
            let service = service_fn(move |request| to.clone().pass(request));
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD);
            // A client that leaves is nobody's fault.
            let _ = server.serve_connection(TokioIo::new(stream), service).map_err(drop).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_lead_nowhere_else_are_forwarded() {
        for own in ["localhost", "LOCALHOST:9000", "127.0.0.1:9000", "127.1.2.3", "[::1]:9000", "shop.localhost"] {
            assert!(is_this_machine(own), "{own}");
        }
        for foreign in ["", "shop.example", "localhost.example:9000", "192.0.2.1", "[2001:db8::1]:9000", "a b"] {
            assert!(!is_this_machine(foreign), "{foreign}");
        }
    }
}
