//! Checks that look at more than one field, or at what stood there before: when something is created, updated and patched.

use super::*;

const SERVICES: &str = "/api/v1/namespaces/default/services";
const AUTOSCALERS: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

fn service() -> Value {
    json!({ "metadata": { "name": "x" }, "spec": { "selector": { "app": "x" }, "ports": [ { "port": 80 } ] } })
}

fn autoscaler() -> Value {
    json!({ "metadata": { "name": "x" }, "spec": { "minReplicas": 1, "maxReplicas": 3,
        "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "x" } } })
}

/// What is right, a change that makes it wrong as a merge patch, and the field that is named then.
fn cases() -> Vec<(&'static str, Value, Value, &'static str)> {
    let deployed = || deployment("x");
    let spec = |spec: Value| json!({ "spec": spec });
    let template = |spec: Value| json!({ "spec": { "template": { "spec": spec } } });
    let rolling = |surge: Value, unavailable: Value| json!({ "strategy": { "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } } });
    vec![
        (DEPLOYMENTS, deployed(), spec(json!({ "minReadySeconds": 600 })), "spec.progressDeadlineSeconds"),
        (
            DEPLOYMENTS,
            deployed(),
            spec(json!({ "progressDeadlineSeconds": 5, "minReadySeconds": 5 })),
            "spec.progressDeadlineSeconds",
        ),
        (DEPLOYMENTS, deployed(), spec(json!({ "progressDeadlineSeconds": 0 })), "spec.progressDeadlineSeconds"),
        (DEPLOYMENTS, deployed(), spec(rolling(json!(0), json!(0))), "spec.strategy.rollingUpdate.maxUnavailable"),
        (DEPLOYMENTS, deployed(), spec(rolling(json!("0%"), json!(0))), "spec.strategy.rollingUpdate.maxUnavailable"),
        (DEPLOYMENTS, deployed(), spec(rolling(json!(1), json!("101%"))), "spec.strategy.rollingUpdate.maxUnavailable"),
        (DEPLOYMENTS, deployed(), spec(rolling(json!("a"), json!(1))), "spec.strategy.rollingUpdate.maxSurge"),
        (
            DEPLOYMENTS,
            deployed(),
            spec(json!({ "strategy": { "type": "Recreate", "rollingUpdate": { "maxSurge": 1 } } })),
            "spec.strategy.rollingUpdate",
        ),
        (
            DEPLOYMENTS,
            deployed(),
            spec(json!({ "template": { "metadata": { "labels": { "app": "y" } } } })),
            "spec.selector",
        ),
        (DEPLOYMENTS, deployed(), spec(json!({ "replicas": -1 })), "spec.replicas"),
        (DEPLOYMENTS, deployed(), spec(json!({ "revisionHistoryLimit": -1 })), "spec.revisionHistoryLimit"),
        (
            DEPLOYMENTS,
            deployed(),
            template(json!({ "containers": [ { "name": "c", "image": "hello:v1", "resources": {
                "requests": { "memory": "2Gi" }, "limits": { "memory": "1Gi" } } } ] })),
            "spec.template.spec.containers[0].resources.requests",
        ),
        (
            DEPLOYMENTS,
            deployed(),
            template(json!({ "containers": [ { "name": "c", "image": "hello:v1",
                "ports": [ { "name": "a", "containerPort": 80 }, { "name": "a", "containerPort": 81 } ] } ] })),
            "spec.template.spec.containers[0].ports[1].name",
        ),
        (
            DEPLOYMENTS,
            deployed(),
            template(json!({ "containers": [ { "name": "c", "image": "hello:v1",
                "env": [ { "name": "A", "value": "x", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } } ] } ] })),
            "spec.template.spec.containers[0].env[0]",
        ),
        (
            SERVICES,
            service(),
            spec(json!({ "ports": [ { "port": 80, "name": "a" }, { "port": 81, "name": "a" } ] })),
            "spec.ports[1].name",
        ),
        (
            SERVICES,
            service(),
            spec(json!({ "ports": [ { "port": 80, "name": "a" }, { "port": 81 } ] })),
            "spec.ports[1].name",
        ),
        (
            SERVICES,
            service(),
            spec(json!({ "ports": [ { "port": 80, "name": "a" }, { "port": 80, "name": "b" } ] })),
            "spec.ports[1].port",
        ),
        (AUTOSCALERS, autoscaler(), spec(json!({ "minReplicas": 4 })), "spec.maxReplicas"),
        (AUTOSCALERS, autoscaler(), spec(json!({ "maxReplicas": 0 })), "spec.maxReplicas"),
    ]
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_when_it_is_created_updated_and_patched() {
    for (collection, right, change, field) in cases() {
        let fixture = Fixture::new().await;
        let refused = |(code, status): (StatusCode, Value), how: &str| {
            assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{how} {change}: {status}");
            let causes = status["details"]["causes"].as_array().unwrap();
            assert!(
                causes.iter().any(|cause| cause["field"].as_str().unwrap().starts_with(field)),
                "{how} {change}: {status}"
            );
        };
        let mut wrong = right.clone();
        json_patch::merge(&mut wrong, &change);
        refused(fixture.post(collection, &wrong).await, "POST");
        let created = fixture.create(collection, &right).await;
        let path = format!("{collection}/x");
        let mut wrong = created.clone();
        json_patch::merge(&mut wrong, &change);
        refused(fixture.call("PUT", &path, &[], &wrong.to_string()).await, "PUT");
        refused(fixture.patch(&path, "merge-patch+json", &change).await, "PATCH");
        assert_eq!(fixture.get(&path).await.1["spec"], created["spec"], "{change}");
    }
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_when_it_is_updated_and_patched() {
    let template = json!({ "spec": { "selector": { "matchLabels": { "app": "x", "b": "c" } }, "template": { "metadata": { "labels": { "b": "c" } } } } });
    let fixed = |data: Value| json!({ "metadata": { "name": "x" }, "immutable": true, "data": data });
    let cases = [
        (DEPLOYMENTS, deployment("x"), template, "spec.selector"),
        (
            SERVICES,
            service(),
            json!({ "spec": { "clusterIP": "10.96.200.1", "clusterIPs": ["10.96.200.1"] } }),
            "spec.clusterIP",
        ),
        (CONFIG_MAPS, fixed(json!({ "a": "b" })), json!({ "data": { "a": "c" } }), "data"),
        (CONFIG_MAPS, fixed(json!({ "a": "b" })), json!({ "immutable": false }), "data"),
        (SECRETS, fixed(json!({ "a": "YQ==" })), json!({ "data": { "a": "Yg==" } }), "data"),
        (SECRETS, json!({ "metadata": { "name": "x" }, "type": "Opaque" }), json!({ "type": "a/b" }), "type"),
    ];
    for (collection, right, change, field) in cases {
        let fixture = Fixture::new().await;
        let mut wrong = fixture.create(collection, &right).await;
        json_patch::merge(&mut wrong, &change);
        let path = format!("{collection}/x");
        for (code, status) in [
            fixture.call("PUT", &path, &[], &wrong.to_string()).await,
            fixture.patch(&path, "merge-patch+json", &change).await,
        ] {
            assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{change}: {status}");
            let causes = status["details"]["causes"].as_array().unwrap();
            assert!(causes.iter().any(|cause| cause["field"] == field), "{change}: {status}");
        }
    }
}
