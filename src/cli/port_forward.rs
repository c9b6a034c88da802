use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::{Context, anyhow, bail};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{Pod, Service, ServicePort},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Api, api::ListParams};
use tokio::net::TcpListener;

use super::print_line;
use crate::{
    client::{
        connection::{ClientArgs, Connection},
        forward::{Forward, forward},
        target::split_target,
    },
    config::address,
    errors::HintExt,
    serve::reached_here,
};

/// Reach a service at a port of this machine
///
/// For programs that do not find names under `.localhost`. Requests go through the gateway, which balances them over the
/// replicas of the Service as any other; HTTP alone is forwarded, and only from this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan port-forward service/shop 9000:80       http://127.0.0.1:9000/ is the Service shop, which listens at 80
  sampan port-forward deployment/shop 8081       The Service of a Deployment
  sampan port-forward service/shop :80           At a port that is free, which is printed")]
pub(crate) struct PortForward {
    /// service/NAME, deployment/NAME or pod/NAME
    #[arg(value_name = "KIND/NAME")]
    target: String,

    /// The port here, and the Service's; of one number, both are that, or the Service's is its only one
    #[arg(value_name = "[LOCAL:]REMOTE", value_parser = ports)]
    ports: Ports,

    /// Where the gateway is [default: where the server of the data directory says]
    #[arg(long, env = "SAMPAN_GATEWAY", value_name = "IP:PORT", value_parser = address)]
    gateway: Option<SocketAddr>,

    #[command(flatten)]
    client: ClientArgs,
}

/// What was asked for: a port here, 0 for any, and one of the Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ports {
    local: u16,
    remote: u16,
    /// One number was written for both.
    one: bool,
}

fn ports(text: &str) -> Result<Ports, String> {
    let wrong = || "write LOCAL:REMOTE, such as 9000:80, or :80 for a port here that is free".to_owned();
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
    match text.split_once(':') {
        Some(("", remote)) => Ok(Ports { local: 0, remote: port(remote)?, one: false }),
        Some((local, remote)) => Ok(Ports { local: port(local)?, remote: port(remote)?, one: false }),
        None => port(text).map(|both| Ports { local: both, remote: both, one: true }),
    }
}

impl PortForward {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (kind, name) = match split_target(std::slice::from_ref(&self.target))? {
            (kind, Some(name)) => (kind, name),
            (name, None) => bail!("say what `{name}` is: service/{name}, deployment/{name} or pod/{name}"),
        };
        let connection = self.client.connect().await?;
        let service = find(&connection, &kind, &name).await?;
        let service_name = service.metadata.name.clone().unwrap_or_default();
        check_port(&service, self.ports)?;
        let gateway = match self.gateway {
            Some(gateway) => gateway,
            None => self.gateway_of_the_data_directory()?,
        };
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.local));
        let listener = TcpListener::bind(local)
            .await
            .with_context(|| format!("{local} cannot be listened at"))
            .hint("write another port before the colon, or none for one that is free: `:80`")?;
        let bound = listener.local_addr()?;
        let host = format!("{service_name}.{}.localhost", connection.namespace);
        print_line(format_args!(
            "http://{bound}/ is service/{service_name} of {}, by the gateway at {gateway}. Ctrl-C ends.",
            connection.namespace
        ));
        tokio::select! {
            ended = forward(listener, Forward::new(gateway, &host)?) => ended,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    }

    fn gateway_of_the_data_directory(&self) -> anyhow::Result<SocketAddr> {
        let file = self.client.connection.data.resolve()?.gateway();
        let told = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<SocketAddr>().ok());
        let told = told.with_context(|| format!("no gateway has run here: there is no {}", file.display()));
        let told = told.hint("say where it is with --gateway, or where its server keeps its state with --data-dir")?;
        Ok(reached_here(told))
    }
}

/// The Service that leads to what is named.
async fn find(connection: &Connection, kind: &str, name: &str) -> anyhow::Result<Service> {
    let client = connection.client();
    let explain = |error| connection.explain(error);
    let services: Api<Service> = Api::namespaced(client.clone(), &connection.namespace);
    let labels = match kind.to_lowercase().as_str() {
        "service" | "services" | "svc" => return services.get(name).await.map_err(explain),
        "deployment" | "deployments" | "deploy" | "deployment.apps" | "deployments.apps" => {
            let api: Api<Deployment> = Api::namespaced(client.clone(), &connection.namespace);
            let template = api.get(name).await.map_err(explain)?.spec.map(|spec| spec.template);
            template.and_then(|template| template.metadata).and_then(|metadata| metadata.labels)
        }
        "pod" | "pods" | "po" => {
            let api: Api<Pod> = Api::namespaced(client.clone(), &connection.namespace);
            api.get(name).await.map_err(explain)?.metadata.labels
        }
        _ => bail!("ports are forwarded to a Service, a Deployment or a Pod, not to a `{kind}`"),
    };
    let labels = labels.unwrap_or_default();
    let all = services.list(&ListParams::default()).await.map_err(explain)?;
    let Some(service) = all.items.into_iter().find(|service| selects(service, &labels)) else {
        return Err(anyhow!("no Service leads to {kind}/{name}")).hint(format!(
            "requests come by way of one: make a Service whose selector fits the labels of {kind}/{name}"
        ));
    };
    if kind.to_lowercase().starts_with("po") {
        let selector: Vec<String> = selector(&service).iter().map(|(key, value)| format!("{key}={value}")).collect();
        let pods: Api<Pod> = Api::namespaced(client, &connection.namespace);
        let pods = pods.list(&ListParams::default().labels(&selector.join(","))).await.map_err(explain)?;
        if pods.items.len() > 1 {
            let service = service.metadata.name.unwrap_or_default();
            return Err(anyhow!(
                "requests go through service/{service}, which balances them over {} pods",
                pods.items.len()
            ))
            .hint(format!("forward service/{service}, or scale to one replica first"));
        }
    }
    Ok(service)
}

fn selector(service: &Service) -> BTreeMap<String, String> {
    service.spec.clone().unwrap_or_default().selector.unwrap_or_default()
}

fn selects(service: &Service, labels: &BTreeMap<String, String>) -> bool {
    let selector = selector(service);
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether the Service has the port; a component listens at none of its own.
fn check_port(service: &Service, ports: Ports) -> anyhow::Result<()> {
    let all = service.spec.clone().unwrap_or_default().ports.unwrap_or_default();
    let is_it = |port: &ServicePort| {
        port.port == i32::from(ports.remote)
            || matches!(port.target_port, Some(IntOrString::Int(target)) if target == i32::from(ports.remote))
    };
    if all.iter().any(is_it) || (ports.one && all.len() == 1) {
        return Ok(());
    }
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let known: Vec<String> = all.iter().map(|port| port.port.to_string()).collect();
    let first = known.first().map_or("80", String::as_str);
    Err(anyhow!("service/{name} has no port {}, but {}", ports.remote, known.join(", ")))
        .hint(format!("write {}:{first}", if ports.local == 0 { 9000 } else { ports.local }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_are_two_numbers_or_one() {
        assert_eq!(ports("9000:80"), Ok(Ports { local: 9000, remote: 80, one: false }));
        assert_eq!(ports(":80"), Ok(Ports { local: 0, remote: 80, one: false }));
        assert_eq!(ports("8081"), Ok(Ports { local: 8081, remote: 8081, one: true }));
        for wrong in ["", "0:80", "80:", "a", "1:2:3", "70000"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_port_that_a_service_has_not_is_refused_with_one_that_it_has() {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "shop"}, "spec": {"ports": [{"port": 80, "targetPort": 8080}, {"port": 81}]},
        }))
        .unwrap();
        for good in ["9000:80", "9000:8080", ":81"] {
            assert!(check_port(&service, ports(good).unwrap()).is_ok(), "{good}");
        }
        let error = crate::errors::report(&check_port(&service, ports("9000:82").unwrap()).unwrap_err());
        assert!(error.contains("has no port 82, but 80, 81") && error.contains("write 9000:80"), "{error}");
    }
}
