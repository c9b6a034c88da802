use std::collections::BTreeMap;

use api::{
    ObjectKey,
    session::{Guard, ServicePort, ServiceRoute},
};
use scheduler::Template;
use serde_json::Value;

/// The label that tells replicas of different revisions apart.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// What routing needs of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Service {
    pub(crate) uid: String,
    /// In order of keys.
    pub(crate) selector: Box<[(String, String)]>,
    pub(crate) ports: Vec<ServicePort>,
    pub(crate) load_balancer: bool,
    /// Where ports lead in pods; those that are missing, to the same number.
    targets: BTreeMap<u16, Target>,
}

/// A port of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Number(u16),
    Name(String),
}

impl Service {
    /// Reads a stored Service. It was checked when it was stored, so what is missing is left out.
    pub(crate) fn read(object: &Value) -> Self {
        let spec = &object["spec"];
        let selector = spec["selector"].as_object().into_iter().flatten();
        let ports = spec["ports"].as_array().into_iter().flatten();
        Self {
            uid: object["metadata"]["uid"].as_str().unwrap_or_default().to_owned(),
            selector: selector.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
            ports: ports.filter_map(port).collect(),
            load_balancer: spec["type"] == "LoadBalancer",
            targets: spec["ports"].as_array().into_iter().flatten().filter_map(target).collect(),
        }
    }

    /// Whether it selects the replicas of a template. A Service without a selector selects none.
    pub(crate) fn selects(&self, template: &Template) -> bool {
        let label = |key: &str| match key {
            TEMPLATE_HASH => Some(&template.hash),
            key => template.labels.get(key),
        };
        !self.selector.is_empty() && self.selector.iter().all(|(key, value)| label(key) == Some(value))
    }

    /// One of the labels that it selects by: whatever it selects has this.
    pub(crate) fn first_label(&self) -> Option<(&str, &str)> {
        self.selector.first().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The port of a pod that one of its ports leads to. `names`: what that pod calls its ports.
    pub(crate) fn target(&self, port: u16, names: &BTreeMap<String, u16>) -> u16 {
        match self.targets.get(&port) {
            Some(Target::Number(number)) => *number,
            Some(Target::Name(name)) => names.get(name).copied().unwrap_or(port),
            None => port,
        }
    }

    /// What a gateway is told of it, where these are who may call it.
    pub(crate) fn route(&self, key: ObjectKey, guards: Vec<Guard>) -> ServiceRoute {
        ServiceRoute { key, ports: self.ports.clone(), load_balancer: self.load_balancer, guards }
    }
}

/// The labels of a template's replicas, by which they are selected.
pub(crate) fn labels(template: &Template) -> impl Iterator<Item = (&str, &str)> {
    let own = template.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    own.filter(|(key, _)| *key != TEMPLATE_HASH).chain([(TEMPLATE_HASH, template.hash.as_str())])
}

fn port(port: &Value) -> Option<ServicePort> {
    let number = u16::try_from(port["port"].as_u64()?).ok()?;
    Some(ServicePort { name: port["name"].as_str().map(str::to_owned), port: number })
}

fn target(port: &Value) -> Option<(u16, Target)> {
    let number = |value: &Value| u16::try_from(value.as_u64()?).ok();
    let target = &port["targetPort"];
    let leads = match target.as_str() {
        Some(name) => Target::Name(name.to_owned()),
        None => Target::Number(number(target).filter(|number| *number != 0)?),
    };
    Some((number(&port["port"])?, leads))
}
