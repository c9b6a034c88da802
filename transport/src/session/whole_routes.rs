//! For gateways of a version that knows no changes of routes: each change becomes all routes, anew.

use std::{collections::BTreeMap, sync::Arc};

use api::{
    ObjectKey,
    session::{ForGateway, GatewayDown, Ingress, Routes, ServiceRoute, Session},
};
use tokio::sync::mpsc;

/// From this protocol on a gateway is told what has changed.
const TOLD_CHANGES: u32 = 3;
/// Messages that were taken from the control plane and wait for the session.
const WAITING: usize = 64;

/// The session as a control plane is to have it, whose gateway speaks this protocol.
pub(super) fn for_protocol(protocol: u32, session: ForGateway) -> ForGateway {
    if protocol >= TOLD_CHANGES {
        return session;
    }
    let Session { tx, rx } = session;
    let (changes, mut told) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut known = WholeRoutes::default();
        while let Some(message) = told.recv().await {
            if tx.send(known.whole(message)).await.is_err() {
                return;
            }
        }
    });
    Session { tx: changes, rx }
}

/// What a gateway was told of routes.
#[derive(Default)]
struct WholeRoutes {
    services: BTreeMap<ObjectKey, ServiceRoute>,
    ingresses: BTreeMap<ObjectKey, Ingress>,
}

impl WholeRoutes {
    /// The message that tells such a gateway what this one tells others.
    fn whole(&mut self, message: GatewayDown) -> GatewayDown {
        match message {
            GatewayDown::Routes(routes) => {
                self.services = routes.services.iter().map(|route| (route.key.clone(), route.clone())).collect();
                self.ingresses = routes.ingresses.iter().map(|it| (it.key.clone(), it.clone())).collect();
                return GatewayDown::Routes(routes);
            }
            GatewayDown::Service(route) => drop(self.services.insert(route.key.clone(), route)),
            GatewayDown::ServiceGone(key) => drop(self.services.remove(&key)),
            GatewayDown::Ingress(ingress) => drop(self.ingresses.insert(ingress.key.clone(), ingress)),
            other @ (GatewayDown::Endpoints { .. } | GatewayDown::Leaving(_)) => return other,
        }
        self.ingresses.retain(|_, ingress| !ingress.rules.is_empty());
        GatewayDown::Routes(Arc::new(Routes {
            services: self.services.values().cloned().collect(),
            ingresses: self.ingresses.values().cloned().collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use api::session::{IngressRule, PathMatch, in_process};

    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("shop", name)
    }

    fn route(name: &str) -> ServiceRoute {
        ServiceRoute { key: key(name), ports: Vec::new(), load_balancer: false, guards: Vec::new() }
    }

    fn ingress(rules: usize) -> Ingress {
        let rule = IngressRule { host: None, path: PathMatch::Prefix("/".to_owned()), service: key("cart") };
        Ingress { key: key("web"), rules: vec![rule; rules] }
    }

    /// The services and the number of Ingresses that a gateway knows after each message.
    async fn heard_by(protocol: u32, messages: Vec<GatewayDown>) -> Vec<Option<(Vec<String>, usize)>> {
        let (mut gateway, control_plane) = in_process();
        let session = for_protocol(protocol, control_plane);
        let mut heard = Vec::new();
        for message in messages {
            session.tx.send(message).await.unwrap();
            heard.push(match gateway.rx.recv().await.unwrap() {
                GatewayDown::Routes(routes) => {
                    let names = routes.services.iter().map(|route| route.key.name.to_string()).collect();
                    Some((names, routes.ingresses.len()))
                }
                _ => None,
            });
        }
        heard
    }

    fn changes() -> Vec<GatewayDown> {
        let all = Routes { services: vec![route("cart")], ingresses: Vec::new() };
        vec![
            GatewayDown::Routes(Arc::new(all)),
            GatewayDown::Service(route("shop")),
            GatewayDown::Ingress(ingress(1)),
            GatewayDown::ServiceGone(key("cart")),
            GatewayDown::Ingress(ingress(0)),
        ]
    }

    #[tokio::test]
    async fn a_gateway_that_knows_no_changes_is_told_everything_each_time() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let heard = heard_by(2, changes()).await;
        let both = names(&["cart", "shop"]);
        assert_eq!(
            heard,
            [
                Some((names(&["cart"]), 0)),
                Some((both.clone(), 0)),
                Some((both, 1)),
                Some((names(&["shop"]), 1)),
                Some((names(&["shop"]), 0)),
            ]
        );
    }

    #[tokio::test]
    async fn a_gateway_that_knows_changes_is_told_them_alone() {
        let heard = heard_by(3, changes()).await;
        assert_eq!(heard.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, false, false]);
    }
}
