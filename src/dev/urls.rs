//! Where a project can be opened.

use std::net::SocketAddr;

use k8s_openapi::api::{core::v1::Service, networking::v1::Ingress};
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    client::{connection::Connection, projects::PROJECT_LABEL},
    serve::reached_here,
};

/// A place to open, or why one that was asked for is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The URL, or what was asked for.
    pub(super) at: String,
    /// What answers there, or why nothing does.
    pub(super) what: String,
}

/// The places of a project's Ingresses and Services: first what Ingresses say people should open, then names of Services where
/// these answer. Ports of LoadBalancer Services come last: what answers there may well be for programs.
pub(super) async fn places(
    connection: &Connection,
    project: &str,
    http: SocketAddr,
    names_answer: bool,
) -> anyhow::Result<Vec<Place>> {
    let services: Api<Service> = Api::all(connection.client());
    let mut services = services.list(&ListParams::default()).await.map_err(|error| connection.explain(error))?.items;
    let is_alone = services.len() == 1;
    services.retain(|service| service.labels().get(PROJECT_LABEL).is_some_and(|app| app == project));
    // A server without Ingresses has no places of theirs.
    let ingresses: Api<Ingress> = Api::all(connection.client());
    let ingresses = ingresses
        .list(&ListParams::default().labels(&format!("{PROJECT_LABEL}={project}")))
        .await
        .map(|list| list.items)
        .unwrap_or_default();
    // The gateway leads there too, whoever asks for this machine by its own names.
    let only = services.iter().filter(|_| is_alone && names_answer && ingresses.is_empty());
    let mut places: Vec<Place> = only.map(|service| of_only(service, http)).collect();
    places.extend(ingresses.iter().flat_map(|ingress| of_ingress(ingress, http)));
    places.extend(of_services(&services, http, names_answer));
    Ok(places)
}

fn of_services(services: &[Service], http: SocketAddr, names_answer: bool) -> Vec<Place> {
    let names = services.iter().filter(|_| names_answer).filter_map(|service| of_name(service, http));
    names.chain(services.iter().flat_map(of_load_balancer)).collect()
}

fn of_only(service: &Service, http: SocketAddr) -> Place {
    let host = reached_here(http).ip();
    let host = if host.is_ipv6() { format!("[{host}]") } else { host.to_string() };
    let at = format!("http://{host}{}/", port_of(http.port()));
    Place { at, what: service.metadata.name.clone().unwrap_or_default() }
}

fn of_ingress(ingress: &Ingress, http: SocketAddr) -> Vec<Place> {
    let mut places = Vec::new();
    let spec = ingress.spec.clone().unwrap_or_default();
    for rule in spec.rules.unwrap_or_default() {
        let host = rule.host.unwrap_or_else(|| host_of(http));
        for path in rule.http.map(|http| http.paths).unwrap_or_default() {
            let service = path.backend.service.map(|service| service.name).unwrap_or_default();
            let path = path.path.unwrap_or_else(|| "/".to_owned());
            places.push(Place { at: format!("http://{host}{}{path}", port_of(http.port())), what: service });
        }
    }
    if let Some(service) = spec.default_backend.and_then(|backend| backend.service) {
        let at = format!("http://{}{}/", host_of(http), port_of(http.port()));
        places.push(Place { at, what: service.name });
    }
    places
}

fn of_load_balancer(service: &Service) -> Vec<Place> {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let spec = service.spec.clone().unwrap_or_default();
    if spec.type_.as_deref() != Some("LoadBalancer") {
        return Vec::new();
    }
    let status = service.status.clone().unwrap_or_default();
    let bound = status.load_balancer.and_then(|balancer| balancer.ingress).unwrap_or_default();
    let why = status.conditions.unwrap_or_default().into_iter().find(|condition| condition.status == "False");
    let place = |port: i32| {
        let address = bound.iter().find(|entry| entry.ports.iter().flatten().any(|known| known.port == port));
        match address.and_then(|entry| entry.ip.as_ref().or(entry.hostname.as_ref())) {
            Some(address) => {
                let address = if address.contains(':') { format!("[{address}]") } else { address.clone() };
                let at = format!("http://{address}{}/", port_of(u16::try_from(port).unwrap_or_default()));
                Place { at, what: name.to_owned() }
            }
            None => {
                let why = why.as_ref().map_or("not yet", |condition| condition.message.as_str());
                Place { at: format!("port {port} of {name}"), what: format!("not bound: {why}") }
            }
        }
    };
    spec.ports.unwrap_or_default().into_iter().map(|port| place(port.port)).collect()
}

fn of_name(service: &Service, http: SocketAddr) -> Option<Place> {
    let (name, namespace) = (service.metadata.name.clone()?, service.metadata.namespace.as_deref()?);
    Some(Place { at: format!("http://{name}.{namespace}.localhost{}/", port_of(http.port())), what: name })
}

/// The name of the address as a person would type it.
fn host_of(http: SocketAddr) -> String {
    if http.ip().is_loopback() && http.ip().to_string() == "127.0.0.1" || http.ip().is_unspecified() {
        return "localhost".to_owned();
    }
    if http.is_ipv6() { format!("[{}]", http.ip()) } else { http.ip().to_string() }
}

fn port_of(port: u16) -> String {
    if port == 80 { String::new() } else { format!(":{port}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn http() -> SocketAddr {
        "127.0.0.1:8080".parse().unwrap()
    }

    #[test]
    fn a_rule_without_a_host_is_at_localhost() {
        let backend = json!({"service": {"name": "storefront", "port": {"number": 80}}});
        let rules = json!([{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]);
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"rules": rules}});
        let places = of_ingress(&serde_json::from_value(ingress).unwrap(), http());
        assert_eq!(places, [Place { at: "http://localhost:8080/".into(), what: "storefront".into() }]);
    }

    #[test]
    fn a_load_balancer_says_where_it_is_or_why_it_is_not() {
        let status = json!({
            "loadBalancer": {"ingress": [{"ip": "127.0.0.1", "ports": [{"port": 80, "protocol": "TCP"}]}]},
            "conditions": [{"type": "Listening", "status": "False", "reason": "PortNotBound",
                "message": "port 81: permission denied", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        });
        let service: Service = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "default"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}, {"port": 81}]}, "status": status,
        }))
        .unwrap();
        let places = of_load_balancer(&service);
        assert_eq!(places[0].at, "http://127.0.0.1/");
        assert_eq!(places[1].what, "not bound: port 81: permission denied");
        let all = of_services(&[service], http(), true);
        assert_eq!(all[0].at, "http://cart.default.localhost:8080/");
        assert_eq!(all[1..], places[..], "what may be for programs comes last");
    }
}
