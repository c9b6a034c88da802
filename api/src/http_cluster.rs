use futures::future::BoxFuture;
use http::{Request, Response};

use crate::{Body, ObjectKey};

/// The way from a guest to another Service of the cluster, by the Service's name.
///
/// The gateway implements it; a worker is given it. In one process no socket is involved.
pub trait ClusterHttp: Send + Sync {
    /// The Service that `host` names for a caller in `namespace`: `products`, `products.shop` or
    /// `products.shop.svc.cluster.local`. `None` if the host does not name a Service that exists.
    fn resolve(&self, namespace: &str, host: &str) -> Option<ObjectKey>;

    /// Sends a request to a Service, balanced over its replicas like any other. `caller` is the revision that the caller is a
    /// replica of, or its own name if it is of none: policies may keep it from this. `port` is the port
    /// in the caller's URL; `None` means the scheme's.
    fn call(
        &self,
        caller: &ObjectKey,
        service: ObjectKey,
        port: Option<u16>,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, ClusterHttpError>>;

    /// The policy that keeps a caller from hosts outside at this port, if one does.
    fn keeps_inside(&self, caller: &ObjectKey, port: u16) -> Option<String>;
}

/// Why a call to a Service got no answer at all. (An answer with an error status is an answer.)
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterHttpError {
    /// The Service went away, or does not listen on that port.
    #[error("service {service} {why}")]
    NoSuchService {
        /// The Service that was named.
        service: ObjectKey,
        /// What is missing.
        why: String,
    },
    /// The caller may not call it.
    #[error("{policy} does not allow calls to port {port} of service {service}")]
    Denied {
        /// The Service that was named.
        service: ObjectKey,
        /// Its port.
        port: u16,
        /// Who says so, for people.
        policy: String,
    },
}

/// The header that counts the Services a request went through. Only the inside sets it: it is removed from what
/// clients send. A worker copies it from the request that a guest serves to those that the guest sends, whatever the
/// guest itself put there; so a circle of calls ends.
pub const HOPS_HEADER: &str = "x-sampan-hops";
