use api::{ObjectKey, session::Guard};
use kube_api::kind::{DEPLOYMENT, NAMESPACE, NETWORK_POLICY, SERVICE};
use serde_json::{Value, json};

use super::cluster::{Cluster, Gateway, eventually};
use crate::testing::{deployment, pod_template, service};

fn policy(name: &str, spec: &Value) -> Value {
    json!({ "metadata": { "name": name, "namespace": "default", "uid": format!("uid-{name}") }, "spec": spec })
}

/// Waits until what a gateway was told of the Service `db` is so.
async fn guarded(gateway: &mut Gateway, what: &str, is: impl Fn(&[Guard]) -> bool) -> Vec<Guard> {
    eventually(what, async || {
        gateway.take();
        let guards = gateway.routes.get(&ObjectKey::new("default", "db"))?.guards.clone();
        is(&guards).then_some(guards)
    })
    .await
}

#[tokio::test]
async fn gateways_are_told_who_may_call_a_service_as_policies_labels_and_deployments_come_and_go() {
    let cluster = Cluster::start();
    let mut gateway = cluster.gateway();
    for name in ["default", "ops"] {
        let labels = json!({ "team": name });
        cluster.put(NAMESPACE, &json!({ "metadata": { "name": name, "uid": name, "labels": labels } })).await;
    }
    for name in ["db", "web", "other"] {
        cluster.put(DEPLOYMENT, &deployment(name, 1, 1, pod_template(name))).await;
    }
    cluster.put(SERVICE, &service("db", "ClusterIP")).await;
    guarded(&mut gateway, "nobody is kept off", |guards| guards.is_empty()).await;

    let web = json!({ "podSelector": { "matchLabels": { "app": "web" } } });
    let spec =
        |peers: Value| json!({ "podSelector": { "matchLabels": { "app": "db" } }, "ingress": [ { "from": peers } ] });
    cluster.put(NETWORK_POLICY, &policy("in", &spec(json!([web])))).await;
    let guards = guarded(&mut gateway, "others are kept off", |guards| !guards.is_empty()).await;
    let [guard] = &guards[..] else { panic!("{guards:?}") };
    let denied = Some("NetworkPolicy default/in (ingress of the callee at pod port 80)".to_owned());
    assert_eq!((guard.port, &guard.others, &guard.outside), (80, &denied, &denied));
    assert!(guard.namespaces.is_empty(), "{guard:?}");
    let names: Vec<_> = guard.revisions.iter().map(|(revision, verdict)| (&*revision.name, verdict)).collect();
    assert!(matches!(&names[..], [(name, None)] if name.starts_with("web-")), "{names:?}");

    // By the labels of a namespace, which change.
    cluster
        .put(
            NETWORK_POLICY,
            &policy("in", &spec(json!([{ "namespaceSelector": { "matchLabels": { "team": "dev" } } }]))),
        )
        .await;
    guarded(&mut gateway, "nobody may", |guards| guards.iter().all(|guard| guard.revisions.is_empty())).await;
    cluster.put(NAMESPACE, &json!({ "metadata": { "name": "ops", "uid": "ops", "labels": { "team": "dev" } } })).await;
    let opened = |guards: &[Guard]| guards.iter().any(|guard| guard.namespaces == [("ops".to_owned(), None)]);
    guarded(&mut gateway, "the namespace may", opened).await;

    // The other side: who may call.
    let out = json!({ "podSelector": { "matchLabels": { "app": "web" } }, "policyTypes": ["Egress"] });
    cluster.put(NETWORK_POLICY, &policy("in", &out)).await;
    let kept = |guards: &[Guard]| {
        let mut revisions = guards.iter().flat_map(|guard| &guard.revisions);
        revisions.any(|(revision, verdict)| revision.name.starts_with("other-") && verdict.is_none())
    };
    let guards = guarded(&mut gateway, "web is kept in", kept).await;
    assert_eq!((&guards[0].others, &guards[0].outside), (&None, &None), "{guards:?}");
    // Of a caller that is not known yet the policy may be, so it is kept in until it is known.
    let denied = Some("NetworkPolicy default/in (egress of the caller at pod port 80)".to_owned());
    assert_eq!(guards[0].namespaces, [("default".to_owned(), denied)]);

    cluster.delete(NETWORK_POLICY, "in").await;
    guarded(&mut gateway, "nobody is kept off again", |guards| guards.is_empty()).await;
    cluster.stop().await;
}
