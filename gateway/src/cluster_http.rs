//! Calls from one guest to another Service by its name: routed here, without a socket.

use std::sync::Arc;

use api::{Body, ClusterHttp, ClusterHttpError, ObjectKey, session::Denied};
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, header::TE, uri::Authority};
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::{
    access::Noting,
    balance::Service,
    body::RequestBody,
    forward::{body_limits, forward},
    refusal::{Reason, Refusal},
    rewrite::{Hops, Peer, ensure_traceparent, for_guest, strip_request},
    routing::normal_host,
    shared::Shared,
};

/// Services that a request may go through, one calling the next. Beyond: 508.
const MAX_HOPS: u32 = 16;

/// The port that a caller means who names none.
const DEFAULT_PORT: u16 = 80;

pub(crate) struct InnerCalls(pub(crate) Arc<Shared>);

impl ClusterHttp for InnerCalls {
    fn resolve(&self, namespace: &str, host: &str) -> Option<ObjectKey> {
        let key = service_named(namespace, host)?;
        self.0.directory.load().service(&key).is_some().then_some(key)
    }

    fn call(
        &self,
        caller: &ObjectKey,
        service: ObjectKey,
        port: Option<u16>,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, ClusterHttpError>> {
        let shared = self.0.clone();
        let found = find(&shared, caller, &service, port);
        Box::pin(async move { Ok(call(&shared, found?, request).await) })
    }

    fn keeps_inside(&self, caller: &ObjectKey, port: u16) -> Option<String> {
        let denied = self.0.leavings.load().denies(caller, port).map(str::to_owned);
        if denied.is_some() {
            self.0.denied_calls.count(Denied::Outside { namespace: caller.namespace.to_string() });
        }
        denied
    }
}

/// The Service that a host name means, whether or not it exists.
fn service_named(namespace: &str, host: &str) -> Option<ObjectKey> {
    let host = normal_host(host);
    let labels: Vec<&str> = host.split('.').collect();
    match labels[..] {
        [name] => Some(ObjectKey::new(namespace, name)),
        [name, namespace] | [name, namespace, "svc" | "localhost"] | [name, namespace, "svc", "cluster", "local"] => {
            Some(ObjectKey::new(namespace, name))
        }
        _ => None,
    }
}

/// The Service, if it is there, listens at this port, and may be called by this caller.
fn find(
    shared: &Shared,
    caller: &ObjectKey,
    key: &ObjectKey,
    port: Option<u16>,
) -> Result<Arc<Service>, ClusterHttpError> {
    let missing = |why: String| ClusterHttpError::NoSuchService { service: key.clone(), why };
    let directory = shared.directory.load();
    let listed = directory.service(key).ok_or_else(|| missing("does not exist".to_owned()))?;
    let port = match (port, &listed.ports[..]) {
        (None, [only]) => *only,
        (port, _) => port.unwrap_or(DEFAULT_PORT),
    };
    if !listed.ports.contains(&port) {
        return Err(missing(format!("does not listen on port {port}: its ports are {:?}", listed.ports)));
    }
    if let Some(guards) = &*listed.service.guards()
        && let Some(policy) = guards.denies(caller, port)
    {
        shared.denied_calls.count(Denied::Service(key.clone()));
        return Err(ClusterHttpError::Denied { service: key.clone(), port, policy: policy.to_owned() });
    }
    Ok(listed.service.clone())
}

async fn call(shared: &Shared, service: Arc<Service>, request: Request<Body>) -> Response<Body> {
    let noting = Noting::begin(shared, &request);
    let (mut parts, body) = request.into_parts();
    let Hops(hops) = Hops::read(&parts.headers);
    if hops >= MAX_HOPS {
        let message = format!("the request went through {hops} services: they call each other in a circle");
        let id = ensure_traceparent(&mut parts.headers);
        return Refusal::new(Reason::CallLoop, message)
            .give(shared, &parts.method, id, noting)
            .map(BodyExt::boxed_unsync);
    }
    strip_request(&mut parts.headers, &Peer::Guest);
    parts.headers.insert(TE, HeaderValue::from_static("trailers"));
    Hops(hops + 1).write(&mut parts.headers);
    let id = ensure_traceparent(&mut parts.headers);
    let authority = parts.uri.authority().cloned().unwrap_or_else(|| own_name(service.key()));
    for_guest(&mut parts, authority);
    let (body, watch) = if body.is_end_stream() {
        (body, None)
    } else {
        let (body, watch) = RequestBody::new(body, body_limits(shared));
        (body.boxed_unsync(), Some(watch))
    };
    forward(shared, service, Request::from_parts(parts, body), watch, (id, noting)).await.map(BodyExt::boxed_unsync)
}

fn own_name(key: &ObjectKey) -> Authority {
    let name = format!("{}.{}.localhost", key.name, key.namespace);
    name.parse().expect("names of Services and Namespaces are DNS labels")
}
