use serde_json::{Value, json};

use super::*;
use crate::resources::FieldError;

fn autoscaler(spec: Value) -> Value {
    let mut object = json!({ "metadata": { "name": "cart" }, "spec": {
        "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "cart" }, "maxReplicas": 50 } });
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object
}

fn rps(target: Value) -> Value {
    json!({ "type": "Pods", "pods": { "metric": { "name": "http_requests_per_second" },
        "target": { "type": "AverageValue", "averageValue": target } } })
}

fn cpu(target: Value) -> Value {
    json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } })
}

fn errors(mut object: Value) -> Vec<String> {
    set_defaults(&mut object);
    HORIZONTAL_POD_AUTOSCALER.check(&object, None).iter().map(FieldError::to_string).collect()
}

#[track_caller]
fn refuses(spec: Value, path: &str, word: &str) {
    let said = errors(autoscaler(spec));
    let named = said.iter().any(|error| error.starts_with(&format!("{path}: ")) && error.contains(word));
    assert!(named, "{path}, {word}: {said:?}");
}

#[test]
fn what_gateways_and_workers_measure_can_be_a_target() {
    let share = json!({ "type": "Utilization", "averageUtilization": 60 });
    let concurrency = json!({ "type": "Pods", "pods": { "metric": { "name": "http_concurrency", "selector": {} },
        "target": { "type": "AverageValue", "averageValue": "500m" } } });
    let container = json!({ "type": "ContainerResource", "containerResource": { "name": "cpu", "container": "c", "target": share } });
    for metric in [
        rps(json!("50")),
        rps(json!(50)),
        rps(json!(0.5)),
        concurrency,
        cpu(share),
        container,
        cpu(json!({ "type": "AverageValue", "averageValue": "250m" })),
    ] {
        let object = autoscaler(json!({ "minReplicas": 0, "metrics": [metric] }));
        assert_eq!(errors(object.clone()), Vec::<String>::new(), "{object}");
    }
}

#[test]
fn every_other_metric_is_refused_with_its_path_and_the_way_out() {
    let first = "spec.metrics[0]";
    let with = |pointer: &str, value: Value| {
        let mut metric = rps(json!("50"));
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        metric.pointer_mut(parent).unwrap()[field] = value;
        json!({ "metrics": [metric] })
    };
    let memory = json!({ "type": "Resource", "resource": { "name": "memory",
        "target": { "type": "AverageValue", "averageValue": "1Mi" } } });
    let object = json!({ "type": "Object", "object": { "metric": { "name": "x" }, "target": { "type": "Value", "value": "1" },
        "describedObject": { "kind": "Ingress", "name": "i" } } });
    let external = json!({ "type": "External", "external": { "metric": { "name": "x" }, "target": { "type": "Value", "value": "1" } } });
    for (spec, path, word) in [
        (json!({ "metrics": [memory] }), format!("{first}.resource.name"), "only `cpu`"),
        (json!({ "metrics": [object] }), format!("{first}.type"), "`Pods`"),
        (json!({ "metrics": [object] }), format!("{first}.object"), "`Pods`"),
        (json!({ "metrics": [external] }), format!("{first}.external"), "`Resource`"),
        (with("/pods/metric/name", json!("queue_depth")), format!("{first}.pods.metric.name"), "http_concurrency"),
        (with("/pods/metric/name", json!("")), format!("{first}.pods.metric.name"), "http_concurrency"),
        (
            with("/pods/metric/selector", json!({ "matchLabels": { "a": "b" } })),
            format!("{first}.pods.metric.selector"),
            "remove it",
        ),
        (with("/pods/target/type", json!("Value")), format!("{first}.pods.target.type"), "AverageValue"),
        (with("/pods/target/type", json!("")), format!("{first}.pods.target.type"), "AverageValue"),
        (with("/pods/target/value", json!("5")), format!("{first}.pods.target.value"), "averageValue"),
        (with("/pods/target/averageValue", json!("0")), format!("{first}.pods.target.averageValue"), "more than 0"),
        (with("/pods/target/averageValue", json!("-5")), format!("{first}.pods.target.averageValue"), "not negative"),
        (with("/pods/target/averageValue", Value::Null), format!("{first}.pods.target.averageValue"), "is missing"),
        (with("/type", json!("")), format!("{first}.type"), "is missing"),
        (with("/type", json!("Resource")), format!("{first}.resource"), "is missing"),
        (with("/type", json!("Resource")), format!("{first}.pods"), "remove it"),
        (
            json!({ "metrics": [cpu(json!({ "type": "Utilization" }))] }),
            format!("{first}.resource.target.averageUtilization"),
            "percentage",
        ),
        (
            json!({ "metrics": [cpu(json!({ "type": "Utilization", "averageUtilization": 0 }))] }),
            format!("{first}.resource.target.averageUtilization"),
            "1 or more",
        ),
        (
            json!({ "metrics": [cpu(json!({ "type": "Utilization", "averageUtilization": 5, "averageValue": "1" }))] }),
            format!("{first}.resource.target.averageValue"),
            "remove it",
        ),
        (
            json!({ "metrics": [{ "type": "ContainerResource", "containerResource": { "name": "cpu",
                "target": { "type": "Utilization", "averageUtilization": 5 } } }] }),
            format!("{first}.containerResource.container"),
            "is missing",
        ),
    ] {
        refuses(spec, &path, word);
    }
}

#[test]
fn the_target_is_a_deployment_and_the_bounds_are_a_range() {
    let target = |kind: &str, version: &str, name: &str| json!({ "scaleTargetRef": { "apiVersion": version, "kind": kind, "name": name } });
    let reference = "spec.scaleTargetRef";
    refuses(target("ReplicaSet", "apps/v1", "a"), &format!("{reference}.kind"), "follows its Deployment");
    refuses(target("Deployment", "apps/v1beta1", "a"), &format!("{reference}.apiVersion"), "`apps/v1`");
    refuses(target("", "apps/v1", "a"), &format!("{reference}.kind"), "is missing");
    refuses(target("Deployment", "apps/v1", ""), &format!("{reference}.name"), "is missing");
    refuses(json!({ "maxReplicas": 0 }), "spec.maxReplicas", "1 to");
    refuses(json!({ "maxReplicas": 100_001 }), "spec.maxReplicas", "1 to");
    refuses(json!({ "minReplicas": -1 }), "spec.minReplicas", "0 or more");
    refuses(json!({ "minReplicas": 51 }), "spec.maxReplicas", "minReplicas");
    let without = json!({ "scaleTargetRef": { "kind": "Deployment", "name": "a" } });
    assert_eq!(errors(autoscaler(without)), Vec::<String>::new(), "the version goes without saying");
}

#[test]
fn behaviour_is_completed_and_checked_as_kubernetes_does() {
    let mut object = autoscaler(json!({ "behavior": { "scaleUp": { "stabilizationWindowSeconds": 5 } } }));
    set_defaults(&mut object);
    assert_eq!(
        object["spec"]["behavior"],
        json!({
            "scaleUp": { "stabilizationWindowSeconds": 5, "selectPolicy": "Max", "policies": [
                { "type": "Pods", "value": 4, "periodSeconds": 15 },
                { "type": "Percent", "value": 100, "periodSeconds": 15 } ] },
            "scaleDown": { "selectPolicy": "Max", "policies": [ { "type": "Percent", "value": 100, "periodSeconds": 15 } ] },
        })
    );
    assert_eq!(errors(object), Vec::<String>::new());
    let up = |rules: Value| json!({ "behavior": { "scaleUp": rules } });
    let policy = |kind: &str, value: i32, period: i32| {
        up(json!({ "policies": [ { "type": kind, "value": value, "periodSeconds": period } ] }))
    };
    let path = "spec.behavior.scaleUp";
    refuses(
        up(json!({ "stabilizationWindowSeconds": 3601 })),
        &format!("{path}.stabilizationWindowSeconds"),
        "0 to 3600",
    );
    refuses(
        up(json!({ "stabilizationWindowSeconds": -1 })),
        &format!("{path}.stabilizationWindowSeconds"),
        "0 to 3600",
    );
    refuses(up(json!({ "selectPolicy": "Most" })), &format!("{path}.selectPolicy"), "`Disabled`");
    refuses(up(json!({ "policies": [] })), &format!("{path}.policies"), "Disabled");
    refuses(up(json!({ "tolerance": "-0.1" })), &format!("{path}.tolerance"), "not negative");
    refuses(policy("Cores", 1, 15), &format!("{path}.policies[0].type"), "`Percent`");
    refuses(policy("Pods", 0, 15), &format!("{path}.policies[0].value"), "1 to");
    refuses(policy("Pods", 1, 0), &format!("{path}.policies[0].periodSeconds"), "1 to 1800");
    refuses(policy("Pods", 1, 1801), &format!("{path}.policies[0].periodSeconds"), "1 to 1800");
    for good in [policy("Percent", 900, 1800), up(json!({ "tolerance": "0.05", "selectPolicy": "Disabled" }))] {
        assert_eq!(errors(autoscaler(good)), Vec::<String>::new());
    }
}

#[test]
fn without_metrics_cpu_is_looked_at_as_in_kubernetes() {
    for metrics in [json!({}), json!({ "metrics": [] }), json!({ "metrics": null })] {
        let mut object = autoscaler(metrics);
        set_defaults(&mut object);
        assert_eq!(object["spec"]["metrics"], json!([cpu(json!({ "type": "Utilization", "averageUtilization": 80 }))]));
        assert_eq!(object["spec"]["minReplicas"], 1);
    }
}

#[test]
fn targets_are_printed_as_kubernetes_prints_them() {
    let shown = |spec: Value, current: Value| {
        let mut object = autoscaler(spec);
        object["status"] = json!({ "currentMetrics": current });
        let column = HORIZONTAL_POD_AUTOSCALER.columns.iter().find(|column| column.name == "Targets").unwrap();
        (column.cell)(&object, api::Timestamp::default()).as_str().unwrap().to_owned()
    };
    let share = json!({ "type": "Utilization", "averageUtilization": 80 });
    assert_eq!(shown(json!({ "metrics": [rps(json!("50"))] }), json!([])), "<unknown>/50");
    let twelve = json!({ "type": "Pods", "pods": { "metric": { "name": "http_requests_per_second" },
        "current": { "averageValue": "12500m" } } });
    assert_eq!(shown(json!({ "metrics": [rps(json!("50"))] }), json!([twelve])), "12500m/50");
    let busy = json!({ "type": "Resource", "resource": { "name": "cpu",
        "current": { "averageUtilization": 12, "averageValue": "24m" } } });
    assert_eq!(shown(json!({ "metrics": [cpu(share.clone())] }), json!([busy])), "cpu: 12%/80%");
    let raw = json!({ "type": "AverageValue", "averageValue": "100m" });
    assert_eq!(shown(json!({ "metrics": [cpu(raw)] }), json!([busy])), "cpu: 24m/100m");
    let three = json!({ "metrics": [rps(json!("50")), cpu(share.clone()), cpu(share)] });
    assert_eq!(shown(three, json!([twelve, busy])), "12500m/50, cpu: 12%/80% + 1 more...");
}

/// One of each metric, behaviour and status: what version 1 has no fields for.
fn elaborate() -> Value {
    let share = json!({ "type": "Utilization", "averageUtilization": 60 });
    let container = json!({ "type": "ContainerResource", "containerResource": { "name": "cpu", "container": "c", "target": share } });
    let mut object = autoscaler(json!({ "minReplicas": 0, "metrics": [rps(json!("50")), container, cpu(share)],
        "behavior": { "scaleDown": { "stabilizationWindowSeconds": 1, "tolerance": "0.2" } } }));
    object["apiVersion"] = json!("autoscaling/v2");
    object["metadata"]["annotations"] = json!({ "team": "shop" });
    object["status"] = json!({
        "observedGeneration": 3, "lastScaleTime": "2026-01-01T00:00:00Z", "currentReplicas": 2, "desiredReplicas": 4,
        "currentMetrics": [
            { "type": "Pods", "pods": { "metric": { "name": "http_requests_per_second" }, "current": { "averageValue": "7" } } },
            { "type": "Resource", "resource": { "name": "cpu",
                "current": { "averageUtilization": 12, "averageValue": "24m" } } } ],
        "conditions": [ { "type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale", "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z" } ],
    });
    set_defaults(&mut object);
    object
}

#[test]
fn version_1_says_the_same_in_its_fields_and_annotations() {
    let view = HORIZONTAL_POD_AUTOSCALER_V1.view.as_ref().unwrap();
    let seen = (view.of_stored)(elaborate());
    assert_eq!((HORIZONTAL_POD_AUTOSCALER_V1.schema.check)(&seen), []);
    assert_eq!(seen["spec"]["targetCPUUtilizationPercentage"], 60);
    assert_eq!(
        (&seen["spec"]["minReplicas"], &seen["status"]["currentCPUUtilizationPercentage"]),
        (&json!(0), &json!(12))
    );
    let noted = |key: &str| {
        let text = seen["metadata"]["annotations"][format!("autoscaling.alpha.kubernetes.io/{key}")].as_str().unwrap();
        serde_json::from_str::<Value>(text).unwrap()
    };
    assert_eq!(
        noted("metrics"),
        json!([
            { "type": "Pods", "pods": { "metricName": "http_requests_per_second", "targetAverageValue": "50" } },
            { "type": "ContainerResource",
              "containerResource": { "name": "cpu", "container": "c", "targetAverageUtilization": 60 } },
        ])
    );
    assert_eq!(noted("behavior")["ScaleDown"]["StabilizationWindowSeconds"], 1);
    assert_eq!(noted("behavior")["ScaleUp"]["Policies"][0], json!({ "Type": "Pods", "Value": 4, "PeriodSeconds": 15 }));
    assert_eq!(noted("current-metrics")[0]["pods"]["currentAverageValue"], "7");
    assert_eq!(noted("conditions")[0]["type"], "AbleToScale");
    assert_eq!(seen["metadata"]["annotations"]["team"], "shop");
}

#[test]
fn reading_and_writing_version_1_loses_nothing() {
    let view = HORIZONTAL_POD_AUTOSCALER_V1.view.as_ref().unwrap();
    let back = (view.to_stored)((view.of_stored)(elaborate())).unwrap();
    assert_eq!(back, elaborate());
    let plain = json!({ "apiVersion": "autoscaling/v1", "metadata": {}, "spec": { "maxReplicas": 3 } });
    let mut stored = (view.to_stored)(plain).unwrap();
    set_defaults(&mut stored);
    assert_eq!(stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
    let broken =
        json!({ "metadata": { "annotations": { "autoscaling.alpha.kubernetes.io/metrics": "{" } }, "spec": {} });
    let said = (view.to_stored)(broken).unwrap_err().to_string();
    assert!(said.starts_with("metadata.annotations[autoscaling.alpha.kubernetes.io/metrics]: "), "{said}");
}

#[test]
fn a_share_of_cpu_that_nobody_requests_is_warned_of() {
    let share = json!({ "type": "Utilization", "averageUtilization": 60 });
    let object = autoscaler(json!({ "metrics": [rps(json!("50")), cpu(share)] }));
    let mut target = json!({ "metadata": { "name": "cart" }, "spec": { "template": { "metadata": { "labels": { "app": "cart" } }, "spec": {
            "containers": [{ "name": "main", "image": "registry.example/shop/hello:v1",
                "resources": { "limits": { "memory": "64Mi" } } }] } } } });
    let said = warnings(&object, Some(&target));
    assert!(
        said.len() == 1 && said[0].starts_with("spec.metrics[1]: ") && said[0].contains("requests.cpu"),
        "{said:?}"
    );
    target["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] = json!({ "cpu": "100m" });
    assert_eq!(warnings(&object, Some(&target)), Vec::<String>::new());
    assert_eq!(warnings(&object, None), Vec::<String>::new(), "it may come later");
}
