use std::{collections::BTreeMap, sync::Arc};

use api::{
    ObjectKey, WorkerName,
    session::{
        Denied, DeniedCalls, Endpoint, GatewayDown, GatewayUp, Ingress, IngressRule, PathMatch, Routes, ServicePort,
        ServiceRoute, ServiceSample,
    },
};

use super::{
    WireError, key, micros, needed,
    proto::{self, denied_call, gateway_down, gateway_up, ingress_rule, listener},
    replica_id, span,
};

impl From<GatewayUp> for proto::GatewayUp {
    fn from(message: GatewayUp) -> Self {
        use gateway_up::Content;
        let content = match message {
            GatewayUp::Listener { service, port, outcome } => Content::Listener(proto::Listener {
                service: Some(service.into()),
                port: port.into(),
                outcome: Some(match outcome {
                    Ok(address) => listener::Outcome::Address(address),
                    Err(failure) => listener::Outcome::Failure(failure),
                }),
            }),
            GatewayUp::Samples(samples) => {
                Content::Samples(proto::Samples { samples: samples.into_iter().map(Into::into).collect() })
            }
            GatewayUp::Wake { service, queued, in_flight } => {
                Content::Waiting(proto::Waiting { service: Some(service.into()), queued, in_flight })
            }
            GatewayUp::DeniedCalls(calls) => {
                Content::DeniedCalls(proto::DeniedCalls { calls: calls.into_iter().map(Into::into).collect() })
            }
        };
        Self { content: Some(content) }
    }
}

impl TryFrom<proto::GatewayUp> for GatewayUp {
    type Error = WireError;

    fn try_from(message: proto::GatewayUp) -> Result<Self, WireError> {
        use gateway_up::Content;
        Ok(match message.content.ok_or(WireError::Unknown { message: "a gateway's message" })? {
            Content::Listener(proto::Listener { service, port, outcome }) => Self::Listener {
                service: key(service, "listener.service")?,
                port: port_number(port, "listener.port")?,
                outcome: match needed(outcome, "listener.outcome")? {
                    listener::Outcome::Address(address) => Ok(address),
                    listener::Outcome::Failure(failure) => Err(failure),
                },
            },
            Content::Samples(proto::Samples { samples }) => {
                Self::Samples(samples.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
            // As protocol 1 says it: one waits at least.
            Content::Wake(service) => Self::Wake { service: key(Some(service), "wake")?, queued: 1, in_flight: 0 },
            Content::Waiting(proto::Waiting { service, queued, in_flight }) => {
                Self::Wake { service: key(service, "waiting.service")?, queued, in_flight }
            }
            Content::DeniedCalls(proto::DeniedCalls { calls }) => {
                Self::DeniedCalls(calls.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
        })
    }
}

impl From<DeniedCalls> for proto::DeniedCall {
    fn from(DeniedCalls { to, count }: DeniedCalls) -> Self {
        let to = match to {
            Denied::Service(key) => denied_call::To::Service(key.into()),
            Denied::Outside { namespace } => denied_call::To::Outside(namespace),
        };
        Self { to: Some(to), count }
    }
}

impl TryFrom<proto::DeniedCall> for DeniedCalls {
    type Error = WireError;

    fn try_from(denied: proto::DeniedCall) -> Result<Self, WireError> {
        let to = match needed(denied.to, "denied.to")? {
            denied_call::To::Service(service) => Denied::Service(key(Some(service), "denied.service")?),
            denied_call::To::Outside(namespace) => Denied::Outside { namespace },
        };
        Ok(Self { to, count: denied.count })
    }
}

impl From<ServiceSample> for proto::ServiceSample {
    fn from(sample: ServiceSample) -> Self {
        Self {
            service: Some(sample.service.into()),
            window_micros: micros(sample.window),
            arrivals: sample.arrivals,
            completed: sample.completed,
            failed: sample.failed,
            in_flight: sample.in_flight,
            queued: sample.queued,
            latency_sum_micros: micros(sample.latency_sum),
            served: sample.served,
            service_sum_micros: micros(sample.service_sum),
            presence_micros: micros(sample.presence),
        }
    }
}

impl TryFrom<proto::ServiceSample> for ServiceSample {
    type Error = WireError;

    fn try_from(sample: proto::ServiceSample) -> Result<Self, WireError> {
        Ok(Self {
            service: key(sample.service, "sample.service")?,
            window: span(sample.window_micros),
            arrivals: sample.arrivals,
            completed: sample.completed,
            failed: sample.failed,
            in_flight: sample.in_flight,
            queued: sample.queued,
            latency_sum: span(sample.latency_sum_micros),
            served: sample.served,
            service_sum: span(sample.service_sum_micros),
            presence: span(sample.presence_micros),
        })
    }
}

impl From<GatewayDown> for proto::GatewayDown {
    fn from(message: GatewayDown) -> Self {
        use gateway_down::Content;
        let content = match message {
            GatewayDown::Routes(routes) => {
                let Routes { services, ingresses } = Arc::unwrap_or_clone(routes);
                Content::Routes(proto::Routes {
                    services: services.into_iter().map(Into::into).collect(),
                    ingress: ingresses.into_iter().flat_map(owned_rules).collect(),
                })
            }
            GatewayDown::Service(route) => Content::Service(route.into()),
            GatewayDown::ServiceGone(key) => Content::ServiceGone(key.into()),
            GatewayDown::Ingress(Ingress { key, rules }) => Content::Ingress(proto::Ingress {
                key: Some(key.into()),
                rules: rules.into_iter().map(Into::into).collect(),
            }),
            GatewayDown::Leaving(rules) => {
                Content::Leaving(proto::LeavingRules { rules: rules.into_iter().map(Into::into).collect() })
            }
            GatewayDown::Endpoints { service, endpoints, reason, hopeless } => Content::Endpoints(proto::Endpoints {
                service: Some(service.into()),
                endpoints: endpoints.into_iter().map(Into::into).collect(),
                reason,
                hopeless,
            }),
        };
        Self { content: Some(content) }
    }
}

impl TryFrom<proto::GatewayDown> for GatewayDown {
    type Error = WireError;

    fn try_from(message: proto::GatewayDown) -> Result<Self, WireError> {
        use gateway_down::Content;
        Ok(match message.content.ok_or(WireError::Unknown { message: "a message to a gateway" })? {
            Content::Routes(proto::Routes { services, ingress }) => Self::Routes(Arc::new(Routes {
                services: services.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
                ingresses: by_owner(ingress)?,
            })),
            Content::Service(route) => Self::Service(route.try_into()?),
            Content::ServiceGone(gone) => Self::ServiceGone(key(Some(gone), "service_gone")?),
            Content::Ingress(proto::Ingress { key: named, rules }) => Self::Ingress(Ingress {
                key: key(named, "ingress.key")?,
                rules: rules.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            }),
            Content::Leaving(proto::LeavingRules { rules }) => {
                Self::Leaving(rules.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
            Content::Endpoints(proto::Endpoints { service, endpoints, reason, hopeless }) => Self::Endpoints {
                service: key(service, "endpoints.service")?,
                endpoints: endpoints.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
                reason,
                hopeless,
            },
        })
    }
}

impl From<ServiceRoute> for proto::ServiceRoute {
    fn from(ServiceRoute { key, ports, load_balancer, guards }: ServiceRoute) -> Self {
        let port = |ServicePort { name, port }| proto::ServicePort { name, port: u32::from(port) };
        Self {
            key: Some(key.into()),
            ports: ports.into_iter().map(port).collect(),
            load_balancer,
            guards: guards.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::ServiceRoute> for ServiceRoute {
    type Error = WireError;

    fn try_from(route: proto::ServiceRoute) -> Result<Self, WireError> {
        let port =
            |proto::ServicePort { name, port }| Ok(ServicePort { name, port: port_number(port, "service.port")? });
        Ok(Self {
            key: key(route.key, "service.key")?,
            ports: route.ports.into_iter().map(port).collect::<Result<_, WireError>>()?,
            load_balancer: route.load_balancer,
            guards: route.guards.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

/// The rules of an Ingress, each with its name.
fn owned_rules(Ingress { key, rules }: Ingress) -> impl Iterator<Item = proto::IngressRule> {
    let owner = (key != unnamed()).then_some(key);
    rules.into_iter().map(move |rule| proto::IngressRule { owner: owner.clone().map(Into::into), ..rule.into() })
}

fn by_owner(rules: Vec<proto::IngressRule>) -> Result<Vec<Ingress>, WireError> {
    let mut ingresses = BTreeMap::<ObjectKey, Vec<IngressRule>>::new();
    for mut rule in rules {
        let owner = match rule.owner.take() {
            Some(owner) => key(Some(owner), "ingress.owner")?,
            None => unnamed(),
        };
        ingresses.entry(owner).or_default().push(rule.try_into()?);
    }
    Ok(ingresses.into_iter().map(|(key, rules)| Ingress { key, rules }).collect())
}

/// Of rules of which an earlier protocol does not say where they belong. Then all of them always come together.
fn unnamed() -> ObjectKey {
    ObjectKey::new("", "")
}

impl From<IngressRule> for proto::IngressRule {
    fn from(IngressRule { host, path, service }: IngressRule) -> Self {
        let path = match path {
            PathMatch::Exact(path) => ingress_rule::Path::Exact(path),
            PathMatch::Prefix(path) => ingress_rule::Path::Prefix(path),
            PathMatch::Otherwise => ingress_rule::Path::Otherwise(true),
        };
        Self { host, path: Some(path), service: Some(service.into()), owner: None }
    }
}

impl TryFrom<proto::IngressRule> for IngressRule {
    type Error = WireError;

    fn try_from(rule: proto::IngressRule) -> Result<Self, WireError> {
        let path = match needed(rule.path, "ingress.path")? {
            ingress_rule::Path::Exact(path) => PathMatch::Exact(path),
            ingress_rule::Path::Prefix(path) => PathMatch::Prefix(path),
            ingress_rule::Path::Otherwise(_) => PathMatch::Otherwise,
        };
        Ok(Self { host: rule.host, path, service: key(rule.service, "ingress.service")? })
    }
}

impl From<Endpoint> for proto::Endpoint {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            replica: Some(endpoint.replica.0.into()),
            worker: endpoint.worker.to_string(),
            concurrency: endpoint.concurrency,
            request_deadline_micros: micros(endpoint.request_deadline),
            address: endpoint.address.map(Into::into),
            standby: endpoint.standby,
        }
    }
}

impl TryFrom<proto::Endpoint> for Endpoint {
    type Error = WireError;

    fn try_from(endpoint: proto::Endpoint) -> Result<Self, WireError> {
        Ok(Self {
            replica: replica_id(endpoint.replica, "endpoint.replica")?,
            worker: WorkerName(endpoint.worker.into()),
            concurrency: endpoint.concurrency,
            request_deadline: span(endpoint.request_deadline_micros),
            address: endpoint.address.map(Into::into),
            standby: endpoint.standby,
        })
    }
}

pub(super) fn port_number(port: u32, field: &'static str) -> Result<u16, WireError> {
    u16::try_from(port).map_err(|_| WireError::Invalid { field })
}
