//! The way from the API to a Service, for `kubectl proxy` and dashboards: `…/services/NAME[:PORT]/proxy/PATH`.

use api::{BodyError, ClusterHttpError, ObjectKey};
use axum::body::Body;
use futures::StreamExt;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use serde_json::Value;

use super::{Api, error::ApiError, path::Target};

/// What was meant for the API alone. Other fields of one connection are taken off on the way.
const OF_THE_API: [HeaderName; 2] = [header::AUTHORIZATION, header::HOST];
/// A page of a guest is not of the API's origin, where scripts have all rights behind `kubectl proxy`.
const APART: HeaderValue = HeaderValue::from_static("sandbox allow-scripts allow-forms");

/// What of a Service is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proxied<'a> {
    namespace: &'a str,
    name: &'a str,
    /// A number or a name.
    port: Option<&'a str>,
    path: &'a str,
}

impl<'a> Proxied<'a> {
    /// Reads a path; `None` if it is another one.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let (namespace, rest) = path.strip_prefix("/api/v1/namespaces/")?.split_once("/services/")?;
        let (service, rest) = rest.split_once('/')?;
        let path = rest.strip_prefix("proxy").filter(|path| path.is_empty() || path.starts_with('/'))?;
        let (name, port) = match service.split(':').collect::<Vec<_>>()[..] {
            [name] => (name, None),
            [name, port] | ["" | "http", name, port] => (name, Some(port)),
            _ => return None,
        };
        let is_name = |text: &str| !text.is_empty() && !text.contains(['/', '%']);
        let path = if path.is_empty() { "/" } else { path };
        let port = port.filter(|port| !port.is_empty());
        (is_name(namespace) && is_name(name)).then_some(Self { namespace, name, port, path })
    }

    /// Sends the request to the Service through the gateway, which balances and bounds it as any other.
    pub(super) async fn send(&self, api: &Api, request: Request<Body>) -> Result<Response<Body>, ApiError> {
        let Some(cluster) = api.checker.cluster.clone() else {
            let why = "Services are not reached from here: there is no gateway beside this control plane";
            return Err(ApiError::MethodNotAllowed { why: why.to_owned() });
        };
        let target = Target::parse(&format!("/api/v1/namespaces/{}/services/{}", self.namespace, self.name))?;
        let port = self.port_of(&api.objects.get(&target).await?.object)?;
        let (mut parts, body) = request.into_parts();
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        parts.uri =
            format!("{}{query}", self.path).parse().map_err(|_| ApiError::BadRequest("that is no path".to_owned()))?;
        OF_THE_API.iter().for_each(|field| drop(parts.headers.remove(field)));
        let body = body.map_err(|error| BodyError::Closed(error.to_string())).boxed_unsync();
        let service = ObjectKey::new(self.namespace, self.name);
        // Whoever has the token is no replica, and in no namespace.
        let caller = ObjectKey::new("", "");
        let answer = cluster.call(&caller, service, Some(port), Request::from_parts(parts, body)).await;
        let refused = |error: ClusterHttpError| match error {
            ClusterHttpError::Denied { .. } => {
                ApiError::Forbidden { resource: target.resource, name: self.name.to_owned(), why: error.to_string() }
            }
            ClusterHttpError::NoSuchService { .. } => ApiError::Unavailable { why: error.to_string() },
        };
        let mut answer = answer.map_err(refused)?;
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, APART);
        let shutdown = api.shutdown.clone().cancelled_owned();
        Ok(answer.map(|body| Body::from_stream(body.into_data_stream().take_until(shutdown).boxed())))
    }

    fn port_of(&self, service: &Value) -> Result<u16, ApiError> {
        let ports = service["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
        let chosen = match self.port {
            None => ports.first(),
            Some(port) => {
                let number = port.parse::<u16>().ok();
                ports.iter().find(|one| one["name"] == port || number.is_some_and(|number| one["port"] == number))
            }
        };
        let number = chosen.and_then(|port| u16::try_from(port["port"].as_u64()?).ok());
        number.ok_or_else(|| {
            ApiError::BadRequest(format!("service {} has no port {}", self.name, self.port.unwrap_or_default()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_service_its_port_and_what_is_asked_of_it() {
        let of = |path: &str| {
            Proxied::of(path).map(|it| (it.name.to_owned(), it.port.map(str::to_owned), it.path.to_owned()))
        };
        let is = |name: &str, port: Option<&str>, path: &str| {
            Some((name.to_owned(), port.map(str::to_owned), path.to_owned()))
        };
        let start = "/api/v1/namespaces/shop/services";
        assert_eq!(of(&format!("{start}/cart/proxy")), is("cart", None, "/"));
        assert_eq!(of(&format!("{start}/cart:80/proxy/a%2Fb/c")), is("cart", Some("80"), "/a%2Fb/c"));
        assert_eq!(of(&format!("{start}/http:cart:web/proxy/")), is("cart", Some("web"), "/"));
        for other in ["cart", "cart/proxyless", "https:cart:443/proxy", "/proxy", "a%2Fb/proxy"] {
            assert_eq!(Proxied::of(&format!("{start}/{other}")), None, "{other}");
        }
    }
}
