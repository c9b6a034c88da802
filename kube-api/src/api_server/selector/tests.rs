use serde_json::json;

use super::*;
use crate::resources::find_kind;

fn selector(kind: &str, labels: &str, fields: &str) -> Result<Selector, ApiError> {
    let escaped = |text: &str| {
        text.replace('%', "%25").replace(' ', "%20").replace('<', "%3C").replace('>', "%3E").replace('\\', "%5C")
    };
    let query = format!("/?labelSelector={}&fieldSelector={}", escaped(labels), escaped(fields));
    Selector::of(&Params::of(&query.parse().unwrap()).unwrap(), find_kind(kind).unwrap())
}

fn labels_match(labels: &str) -> bool {
    let labels_of = json!({ "app": "x", "tier": "front", "size": "5", "a.example/b": "" });
    selector("Pod", labels, "").unwrap().matches(&json!({ "metadata": { "name": "a", "labels": labels_of } }))
}

#[test]
fn labels_are_selected_in_every_way_that_kubernetes_knows() {
    for yes in [
        "",
        "app=x",
        "app==x",
        "app!=y",
        "app",
        "!other",
        "app in (x, y)",
        "tier notin (a,b),app=x",
        "other!=z",
        "size>4",
        "size > -1",
        "size<6,size>4",
        "a.example/b=",
        "a.example/b in (,x)",
    ] {
        assert!(labels_match(yes), "{yes}");
    }
    for no in ["app=y", "other", "!app", "app in (y,z)", "app notin (x)", "app=x,tier=back", "size>5", "size<5"] {
        assert!(!labels_match(no), "{no}");
    }
    for no in ["app>4", "app<4", "other>0"] {
        assert!(!labels_match(no), "{no}: what is no number is neither above nor below");
    }
}

#[test]
fn label_selectors_that_cannot_be_read_are_refused() {
    for wrong in ["a b", "size>x", "size>", "size>4.5", "a=b c", "a,,b", "a,", "in (x)", "a in x", "-a", "a=-b", "a!b"]
    {
        assert!(selector("Pod", wrong, "").is_err(), "{wrong}");
    }
}

#[test]
fn objects_are_selected_by_the_fields_of_their_kind() {
    let pod = json!({ "metadata": { "name": "a", "namespace": "n" },
        "spec": { "nodeName": "w", "restartPolicy": "Always" }, "status": { "phase": "Running", "podIP": "10.0.0.1" } });
    let node = json!({ "metadata": { "name": "w" }, "spec": { "unschedulable": true } });
    let event = json!({ "metadata": { "name": "e" }, "reason": "Killing", "type": "Normal",
        "source": { "component": "sampan" }, "reportingComponent": "sampan", "involvedObject": { "kind": "Pod" } });
    let replica_set = json!({ "metadata": { "name": "r" }, "status": { "replicas": 3 } });
    let service = json!({ "metadata": { "name": "s" }, "spec": { "type": "LoadBalancer", "clusterIP": "None" } });
    let yes = [
        ("Pod", &pod, "metadata.name=a,status.phase!=Pending"),
        ("Pod", &pod, "metadata.namespace==n,spec.nodeName=w,status.podIP=10.0.0.1"),
        ("Pod", &pod, "spec.restartPolicy=Always,spec.schedulerName=default-scheduler,spec.hostNetwork=false"),
        ("Pod", &pod, "spec.serviceAccountName=,status.nominatedNodeName="),
        ("Node", &node, "spec.unschedulable=true"),
        ("Node", &json!({ "metadata": { "name": "w" }, "spec": {} }), "spec.unschedulable=false"),
        ("Event", &event, "involvedObject.kind=Pod,reason=Killing,type=Normal,source=sampan,reportingComponent=sampan"),
        ("ReplicaSet", &replica_set, "status.replicas=3"),
        ("Service", &service, "spec.type=LoadBalancer,spec.clusterIP=None"),
        ("Secret", &json!({ "type": "Opaque" }), "type=Opaque"),
        ("Namespace", &json!({ "status": { "phase": "Active" } }), "status.phase=Active"),
        ("ConfigMap", &json!({ "metadata": { "name": "a,b=c" } }), "metadata.name=a\\,b\\=c"),
        ("Pod", &pod, "metadata.name=a,"),
    ];
    for (kind, object, fields) in yes {
        assert!(selector(kind, "", fields).unwrap().matches(object), "{kind} {fields}");
    }
    for (kind, object, fields) in [
        ("Pod", &pod, "metadata.name=b"),
        ("Pod", &pod, "spec.nodeName="),
        ("Node", &node, "spec.unschedulable=false"),
        ("ReplicaSet", &replica_set, "status.replicas!=3"),
    ] {
        assert!(!selector(kind, "", fields).unwrap().matches(object), "{kind} {fields}");
    }
}

#[test]
fn fields_that_a_kind_is_not_selected_by_are_refused_by_name() {
    for (kind, fields, label) in [
        ("Pod", "spec.foo=1", "spec.foo"),
        ("Deployment", "status.phase=Running", "status.phase"),
        ("ConfigMap", "type=Opaque", "type"),
        ("Node", "metadata.namespace=a", "metadata.namespace"),
        ("HorizontalPodAutoscaler", "spec.nodeName=a", "spec.nodeName"),
    ] {
        let error = selector(kind, "", fields).unwrap_err().to_string();
        assert!(error.starts_with(&format!("field label not supported: {label}")), "{kind}: {error}");
    }
    for wrong in ["metadata.name", "metadata.name=a=b", "metadata.name=a\\"] {
        assert!(selector("Pod", "", wrong).is_err(), "{wrong}");
    }
}
