//! `wasi:http/outgoing-handler`: requests of guests, to Services of the cluster and to granted hosts.

mod client;
mod connector;
mod hooks;
mod read_ahead;
mod received;
mod seats;
mod sent;

use std::sync::Arc;

use api::{
    BodyError, ClusterHttp, ClusterHttpError, HOPS_HEADER, ObjectKey,
    outbound::{InvalidGrant, OutboundGrants, Reach},
    replica::LogSource,
};
use http::{Request, Response};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use crate::log::ReplicaLog;

pub(crate) use client::Outside;
pub(crate) use hooks::Cause;
pub(super) use hooks::OutboundHooks;

use client::{OutboundClient, Timeouts};
use read_ahead::read_ahead;

/// Where the guests of one replica may send requests.
pub(super) struct Outbound {
    /// The revision that it is a replica of.
    caller: ObjectKey,
    grants: OutboundGrants,
    cluster: Arc<dyn ClusterHttp>,
    client: OutboundClient,
    log: Arc<ReplicaLog>,
}

/// A request that is granted.
enum Route {
    Service(api::ObjectKey, Option<u16>),
    Host(Reach),
}

impl Outbound {
    pub(super) fn new(
        caller: ObjectKey,
        grants: &[String],
        cluster: Arc<dyn ClusterHttp>,
        outside: &Outside,
        log: Arc<ReplicaLog>,
    ) -> Result<Self, InvalidGrant> {
        let (grants, client) = (OutboundGrants::parse(grants)?, OutboundClient::new(outside, &caller.namespace));
        Ok(Self { caller, grants, cluster, client, log })
    }

    async fn send(&self, mut request: Request<WasiBody>, timeouts: Timeouts) -> Result<Response<WasiBody>, HttpError> {
        match self.route(&request)? {
            Route::Service(service, port) => self.call(service, port, request, timeouts).await,
            Route::Host(reach) => {
                // Between Services only: nobody else's business.
                request.headers_mut().remove(HOPS_HEADER);
                self.client.send(request, reach, timeouts).await.inspect_err(|error| {
                    if matches!(error, HttpError::DestinationIpProhibited) {
                        self.log.line_of(LogSource::Sampan, prohibited);
                    }
                })
            }
        }
    }

    fn route(&self, request: &Request<WasiBody>) -> Result<Route, HttpError> {
        let uri = request.uri();
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(HttpError::HttpRequestUriInvalid)?;
        let default_port = if uri.scheme() == Some(&http::uri::Scheme::HTTP) { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(default_port);
        let service = self.cluster.resolve(&self.caller.namespace, host);
        Ok(match (self.grants.allow(host, port), service) {
            (Some(_), Some(service)) => Route::Service(service, uri.port_u16()),
            (Some(reach), None) => {
                if let Some(policy) = self.cluster.keeps_inside(&self.caller, port) {
                    self.log.line_of(LogSource::Sampan, || {
                        format!("denied: {policy} does not allow requests to hosts outside, as `{host}` at port {port}")
                    });
                    return Err(HttpError::HttpRequestDenied);
                }
                Route::Host(reach)
            }
            (None, Some(service)) if self.allows(&service, port) => Route::Service(service, uri.port_u16()),
            (None, _) => {
                self.log.line_of(LogSource::Sampan, || denied(host));
                return Err(HttpError::HttpRequestDenied);
            }
        })
    }

    /// Whether a Service is granted by any of its names: who grants it names it as they like.
    fn allows(&self, service: &api::ObjectKey, port: u16) -> bool {
        let full = format!("{}.{}", service.name, service.namespace);
        let near = (*service.namespace == *self.caller.namespace).then(|| service.name.to_string());
        let names = [format!("{full}.svc"), format!("{full}.svc.cluster.local"), full];
        near.iter().chain(&names).any(|name| self.grants.allow(name, port).is_some())
    }

    async fn call(
        &self,
        service: api::ObjectKey,
        port: Option<u16>,
        request: Request<WasiBody>,
        timeouts: Timeouts,
    ) -> Result<Response<WasiBody>, HttpError> {
        let (request, sent) = sent::watched(request);
        let response =
            tokio::time::timeout(timeouts.first_byte, self.cluster.call(&self.caller, service, port, request))
                .await
                .map_err(|_| HttpError::HttpResponseTimeout)?
                .map_err(|error| match error {
                    ClusterHttpError::Denied { .. } => {
                        self.log.line_of(LogSource::Sampan, || format!("denied: {error}"));
                        HttpError::HttpRequestDenied
                    }
                    ClusterHttpError::NoSuchService { .. } => {
                        self.log.line_of(LogSource::Sampan, || format!("call failed: {error}"));
                        HttpError::DestinationNotFound
                    }
                })?;
        let response = if sent.is_whole() { response } else { response.map(read_ahead) };
        Ok(response.map(|body| body.map_err(into_http_error).boxed_unsync()))
    }
}

/// A body that ended early, in the words of `wasi:http`.
pub(crate) fn into_http_error(error: BodyError) -> HttpError {
    match error {
        BodyError::TooLarge { limit_bytes } => HttpError::HttpRequestBodySize(Some(limit_bytes)),
        BodyError::Stalled { .. } => HttpError::ConnectionReadTimeout,
        BodyError::Closed(_) => HttpError::ConnectionTerminated,
        BodyError::Guest(why) => HttpError::InternalError(Some(why)),
    }
}

fn denied(host: &str) -> String {
    format!(
        "denied: a request to `{host}` is not granted; add `{host}` to the annotation `{}` of the pod template",
        api::annotations::OUTBOUND
    )
}

fn prohibited() -> String {
    format!(
        "denied: a granted host has no public address; an address of a private network must be named itself in the \
         annotation `{}`",
        api::annotations::OUTBOUND
    )
}
