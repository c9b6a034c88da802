use api::{
    ObjectKey,
    replica::{Failure, FailureReason},
    session::PathMatch,
};
use scheduler::ReplicaState;
use serde_json::json;

use super::*;
use crate::testing::{CREATED, service, view};

fn hello() -> ObjectKey {
    ObjectKey::new("default", "hello")
}

fn backer(wanted: u32, trouble: Option<&'static str>) -> (ObjectKey, u32, Option<&'static str>) {
    (hello(), wanted, trouble)
}

fn reason_of(state: Option<ReplicaState>, (key, wanted, trouble): (ObjectKey, u32, Option<&str>)) -> String {
    let view = state.map(view);
    let selected: Vec<_> = view.iter().collect();
    reason(
        &Service::read(&service("hello", "ClusterIP")),
        &[Backer { key: &key, wanted, scaled: false, trouble }],
        &selected,
    )
}

#[test]
fn a_service_becomes_a_route_with_its_ports() {
    let route = Service::read(&service("hello", "LoadBalancer")).route(hello(), Vec::new());
    assert!(route.load_balancer);
    assert_eq!((route.ports[0].port, route.ports[0].name.as_deref()), (80, Some("http")));
}

#[test]
fn each_path_of_an_ingress_is_a_rule_and_its_default_backend_is_one_for_what_is_left_of_each_host() {
    let backend = json!({ "service": { "name": "hello", "port": { "number": 80 } } });
    let ingress = json!({ "spec": {
        "defaultBackend": backend,
        "rules": [{ "host": "Shop.Example", "http": { "paths": [
            { "path": "/cart", "pathType": "Prefix", "backend": backend },
            { "path": "/ping", "pathType": "Exact", "backend": backend },
        ] } }, { "host": "*.shop.example" }],
    } });
    let rules = ingress_claim(&ObjectKey::new("default", "shop"), &ingress).rules;
    let shown: Vec<_> = rules.iter().map(|rule| (rule.host.as_deref(), rule.path.clone())).collect();
    assert_eq!(
        shown,
        [
            (Some("shop.example"), PathMatch::Prefix("/cart".to_owned())),
            (Some("shop.example"), PathMatch::Exact("/ping".to_owned())),
            (None, PathMatch::Otherwise),
            (Some("*.shop.example"), PathMatch::Otherwise),
            (Some("shop.example"), PathMatch::Otherwise),
        ]
    );
    assert!(rules.iter().all(|rule| rule.service == hello()));
}

#[test]
fn only_replicas_that_are_ready_are_endpoints() {
    let states = [
        ReplicaState::Ready,
        ReplicaState::Starting,
        ReplicaState::NotReady,
        ReplicaState::Stopping,
        ReplicaState::Unknown,
        ReplicaState::Unplaced("no worker".to_owned()),
        ReplicaState::BackOff { until: CREATED },
    ];
    let views: Vec<_> = states.into_iter().map(view).collect();
    let found = endpoints(views.iter(), &Addresses::new());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].concurrency, views[0].template.limits.concurrency);
}

#[test]
fn a_selector_must_match_as_a_whole_and_an_empty_one_matches_nothing() {
    let template = view(ReplicaState::Ready).template;
    let selects =
        |selector: serde_json::Value| Service::read(&json!({ "spec": { "selector": selector } })).selects(&template);
    assert!(selects(json!({ "app": "hello" })));
    assert!(selects(json!({ "app": "hello", "pod-template-hash": template.hash })));
    assert!(!selects(json!({ "app": "hello", "tier": "web" })));
    assert!(!selects(json!({})));
}

#[test]
fn a_service_without_endpoints_says_what_its_deployment_lacks() {
    let image = Some("image hello:v1 is not in the local store");
    assert_eq!(reason_of(None, backer(3, image)), "deployment hello: image hello:v1 is not in the local store");
    assert_eq!(
        reason_of(None, backer(0, None)),
        "deployment hello is scaled to 0 replicas and no autoscaler \
         starts one: kubectl scale deployment/hello --replicas=1 -n default"
    );
    let starting = reason_of(Some(ReplicaState::Starting), backer(1, None));
    assert_eq!(starting, "deployment hello: 1 of 1 replicas are starting");
    let unplaced = reason_of(Some(ReplicaState::Unplaced("not enough memory".to_owned())), backer(1, None));
    assert_eq!(unplaced, "deployment hello: 1 of 1 replicas have no worker: not enough memory");
    let nobody = reason(&Service::read(&service("hello", "ClusterIP")), &[], &[]);
    assert_eq!(nobody, "no deployment has pods with the labels app=hello");
}

#[test]
fn a_failure_outweighs_a_replica_that_merely_starts() {
    let mut failed = view(ReplicaState::BackOff { until: CREATED });
    let failure = Failure { reason: FailureReason::ErrImagePull, message: "image not found".to_owned() };
    failed.last_failure = Some((failure, CREATED));
    let starting = view(ReplicaState::Starting);
    let key = hello();
    let backers = [Backer { key: &key, wanted: 2, scaled: false, trouble: None }];
    let said = reason(&Service::read(&service("hello", "ClusterIP")), &backers, &[&starting, &failed]);
    assert_eq!(said, "deployment hello: 1 of 2 replicas failed and are started again later: image not found");
}
