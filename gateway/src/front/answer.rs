use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use api::{Body, BodyError, ObjectKey, RequestId, frame_trailers, last_chunk, reads_trailers};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE},
    uri::Authority,
};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{
    received::{ReadingOn, Received},
    watch::{ConnectionWatch, InFlight, StreamWatch},
};
use crate::{
    OverloadAction,
    access::Noting,
    balance::Service,
    body::{BodyVerdict, BodyWatch, RequestBody, Tracked},
    forward::{body_limits, cut_off, forward},
    refusal::{Reason, Refusal},
    rewrite::{
        NO_HOST, authority, ensure_traceparent, for_guest, forwarded, join_cookies, strip_request, trim_values,
        upgrades,
    },
    routing::{NoRoute, Offered},
    shared::Shared,
    signpost::Signpost,
};

/// What is read in HTTP/1.1 of a body that nobody wants, so that its connection takes another request. A longer one ends the
/// connection, which is said where it is known (RFC 9112, 9.6).
pub(super) const MOST_LEFT_BYTES: u64 = 512 << 10;

/// Where the requests of one listener go.
#[derive(Clone)]
pub(crate) enum Door {
    /// Where their host and path say, of what the client's connection is offered.
    ByHost(Offered),
    /// All to this port of one Service, whatever the host: it is of a LoadBalancer.
    Straight(Arc<Service>, u16),
}

/// What those who connect to a listener find.
#[derive(Clone)]
pub(crate) enum Opens {
    /// This.
    Always(Door),
    /// Requests go by their host; everything is offered where the connection has come to a loopback address, and elsewhere names
    /// of Services only if they are published.
    ByAddress { publish_services: bool },
}

impl Opens {
    /// The main listener at this address.
    pub(crate) fn main(address: IpAddr, publish_services: bool) -> Self {
        if address.is_unspecified() {
            return Self::ByAddress { publish_services };
        }
        Self::Always(Door::ByHost(offered(address, publish_services)))
    }

    /// For a connection to this local address of the machine; an error: it is not known.
    pub(super) fn door(&self, local: impl FnOnce() -> io::Result<SocketAddr>) -> Door {
        match self {
            Self::Always(door) => door.clone(),
            Self::ByAddress { publish_services } => {
                let address = local().map_or(Ipv4Addr::UNSPECIFIED.into(), |at| at.ip());
                Door::ByHost(offered(address, *publish_services))
            }
        }
    }
}

/// What those are offered who connect to this address.
fn offered(address: IpAddr, publish_services: bool) -> Offered {
    match (address.to_canonical().is_loopback(), publish_services) {
        (true, _) => Offered::Everything,
        (false, true) => Offered::NamesToo,
        (false, false) => Offered::RulesAlone,
    }
}

/// Answers one request of a connection.
pub(super) async fn answer(
    shared: Arc<Shared>,
    door: Door,
    watch: Rc<ConnectionWatch>,
    reading_on: Arc<ReadingOn>,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Infallible> {
    let closes = is_last_unless_read(&request);
    let request = request.map(|body| Received::new(body, (!closes).then_some(reading_on)));
    let in_flight = watch.begin(!request.body().is_end_stream());
    let noting = Noting::begin(&shared, &request);
    let (method, version, asked) = (request.method().clone(), request.version(), RequestId::of(request.headers()));
    let trailers = reads_trailers(version, request.headers());
    let mut response = match enter(&shared, &door, &watch, request, trailers) {
        Ok((service, request, body_watch, id)) => forward(&shared, service, request, body_watch, (id, noting)).await,
        Err(refusal) => {
            let id = asked.unwrap_or_else(|| ensure_traceparent(&mut HeaderMap::new()));
            tracing::debug!(request = %id, reason = refusal.reason.as_str(), "{}", refusal.message);
            refusal.give(&shared, &method, id, noting)
        }
    };
    in_flight.answered();
    let last = version < Version::HTTP_2 && shared.overload.is_taken(OverloadAction::DisableKeepAlive);
    if last || (closes && watch.has_unread()) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let has_length =
        || response.body().size_hint().exact().is_some() || response.headers().contains_key(CONTENT_LENGTH);
    watch.is_delimited(version > Version::HTTP_10 || has_length());
    frame_trailers(version, trailers, &mut response);
    Ok(response.map(|body| Outgoing::new(body, in_flight, version == Version::HTTP_11 && trailers)))
}

/// Whether the connection ends with the answer if that comes before the body: much of it is to come, or nobody knows whether
/// any is, since the client waits to be asked for it.
fn is_last_unless_read(request: &Request<Incoming>) -> bool {
    let headers = request.headers();
    let is_long = || announced(headers).is_some_and(|bytes| bytes > MOST_LEFT_BYTES);
    let has_body = !request.body().is_end_stream() && request.version() < Version::HTTP_2;
    has_body && (is_long() || headers.contains_key(EXPECT))
}

/// What a client is told whom a policy keeps out. Which one is for those to know who may read it.
const DENIED: &str = "a NetworkPolicy of the service does not allow requests from outside: to it the gateway is a pod of namespace \
                      kube-system with the label app.kubernetes.io/name=sampan-gateway";

type Entered = (Arc<Service>, Request<Body>, Option<Arc<BodyWatch>>, RequestId);

/// Finds the Service, and makes of the request what the guest may see.
fn enter(
    shared: &Shared,
    door: &Door,
    watch: &ConnectionWatch,
    request: Request<Received>,
    trailers: bool,
) -> Result<Entered, Refusal> {
    if shared.overload.is_taken(OverloadAction::StopAcceptingRequests) {
        let message = "memory is short: no new request is taken until there is more";
        return Err(Refusal::new(Reason::Overloaded, message));
    }
    let named = authority(&request)?;
    let (mut parts, body) = request.into_parts();
    if upgrades(&parts) {
        let message = "the gateway passes HTTP requests only: no CONNECT, no WebSocket, no other upgrade";
        return Err(Refusal::new(Reason::UpgradeUnsupported, message));
    }
    let (service, authority, port) = match (door, named) {
        (Door::ByHost(offered), Some(host)) => {
            let service =
                route(shared, &host, parts.uri.path(), *offered).map_err(|refusal| match (refusal.reason, offered) {
                    (Reason::UnknownHost | Reason::NoRuleForPath, Offered::Everything) => {
                        let signpost = Signpost::for_request(shared, &host, &parts.headers, &refusal).map(Box::new);
                        Refusal { signpost, ..refusal }
                    }
                    _ => refusal,
                });
            (service?, host, None)
        }
        (Door::ByHost(_), None) => return Err(Refusal::new(Reason::BadRequest, NO_HOST)),
        (Door::Straight(service, port), Some(host)) => (service.clone(), host, Some(*port)),
        (Door::Straight(service, port), None) => (service.clone(), own_host(service), Some(*port)),
    };
    if let Some(guards) = &*service.guards()
        && let Some(policy) = guards.denies_clients(port)
    {
        tracing::debug!(service = %service.key(), policy, "a request from outside was denied");
        return Err(Refusal::new(Reason::PolicyDenied, DENIED));
    }
    let limits = body_limits(shared);
    if announced(&parts.headers).is_some_and(|bytes| bytes > limits.bytes) {
        return Err(cut_off(BodyVerdict::TooLarge, &limits));
    }
    strip_request(&mut parts.headers, watch.peer());
    if trailers {
        // Said anew at each hop: this one reads what the client reads.
        parts.headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if parts.version == Version::HTTP_2 {
        join_cookies(&mut parts.headers);
        trim_values(&mut parts.headers);
    }
    for_guest(&mut parts, authority);
    forwarded(&mut parts.headers, watch.peer());
    let id = ensure_traceparent(&mut parts.headers);
    let (body, body_watch) = if body.is_end_stream() {
        (api::empty_body(), None)
    } else {
        let (body, body_watch) = RequestBody::new(body, limits);
        watch.body(&body_watch);
        (body.boxed_unsync(), Some(body_watch))
    };
    Ok((service, Request::from_parts(parts, body), body_watch, id))
}

/// The length of a body, where a head says it.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What a request was sent to that names no host: guests are given whole URIs.
fn own_host(service: &Service) -> Authority {
    let ObjectKey { namespace, name } = service.key();
    Authority::try_from(format!("{name}.{namespace}.localhost")).expect("names of objects are labels of hosts")
}

fn route(shared: &Shared, authority: &Authority, path: &str, offered: Offered) -> Result<Arc<Service>, Refusal> {
    let host = authority.host().trim_end_matches('.');
    let lower_case;
    let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        lower_case = host.to_ascii_lowercase();
        &lower_case
    } else {
        host
    };
    // To strangers nothing is said of which Services there are.
    shared.directory.load().route(host, path, offered).cloned().map_err(|why| match (why, offered) {
        _ if !shared.are_routes_known() => Refusal::new(
            Reason::RoutesUnknown,
            "the gateway has just started, and the control plane has not said yet which services there are",
        ),
        (NoRoute::Missing(key), Offered::Everything | Offered::NamesToo) => {
            Refusal::new(Reason::NoSuchService, format!("the rule for `{host}` names service {key}: there is none"))
        }
        (NoRoute::Missing(_), Offered::RulesAlone) => {
            Refusal::new(Reason::NoSuchService, format!("the rule for `{host}` names a service that is not there"))
        }
        (NoRoute::UnknownHost, Offered::Everything | Offered::NamesToo) => {
            let hint = shared.config.unknown_host_hint.map(|hint| format!(": {hint}")).unwrap_or_default();
            Refusal::new(Reason::UnknownHost, format!("no service and no rule is named by the host `{host}`{hint}"))
        }
        (NoRoute::UnknownHost, Offered::RulesAlone) => Refusal::new(
            Reason::UnknownHost,
            format!("no rule is for the host `{host}`: an Ingress that names it makes one"),
        ),
        (NoRoute::NoRuleForPath, _) => {
            Refusal::new(Reason::NoRuleForPath, format!("no rule of the host `{host}` is for the path `{path}`"))
        }
    })
}

/// An answer's body on its way to the client, seen by the watch of its connection.
pub(super) struct Outgoing {
    inner: Tracked,
    in_flight: InFlight,
    /// Trailers go into the last chunk, by way of the connection: hyper sends over HTTP/1.1 what the head has named alone.
    trailers_in_chunk: bool,
}

impl Outgoing {
    fn new(inner: Tracked, in_flight: InFlight, trailers_in_chunk: bool) -> Self {
        in_flight.stream().handed_over();
        Self { inner, in_flight, trailers_in_chunk }
    }

    fn stream(&self) -> &StreamWatch {
        self.in_flight.stream()
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.stream().asked();
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if frame.is_ready() {
            self.stream().handed_over();
        }
        if let Poll::Ready(Some(Ok(piece))) = &frame
            && let Some(trailers) = piece.trailers_ref().filter(|_| self.trailers_in_chunk)
        {
            *self.in_flight.connection().trailers() = last_chunk(trailers);
            return Poll::Ready(None);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
