use std::{collections::BTreeMap, time::Duration};

use api::{
    replica::Isolation,
    template::{EnvSource, Resources},
};
use serde_json::{Value, json};

use super::parse;

fn template(container: Value) -> Value {
    let mut base = json!({ "name": "c", "image": "hello:v1" });
    let fields = base.as_object_mut().expect("an object");
    fields.extend(container.as_object().expect("an object").clone());
    json!({ "metadata": { "labels": { "app": "a" } }, "spec": { "containers": [base] } })
}

fn errors(value: &Value) -> Vec<String> {
    parse(value).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refuses(value: &Value, path: &str, word: &str) {
    let said = errors(value);
    assert!(said.iter().any(|error| error.starts_with(path) && error.contains(word)), "{path}, {word}: {said:?}");
}

#[test]
fn a_template_is_read_with_everything_that_it_says() {
    let mut value = template(json!({
        "env": [ { "name": "A", "value": "1" }, { "name": "N", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } } ],
        "envFrom": [ { "configMapRef": { "name": "settings" }, "prefix": "S_" } ],
        "ports": [ { "containerPort": 80, "name": "http" } ],
        "resources": { "limits": { "cpu": "500m", "memory": "64Mi" }, "requests": { "cpu": "100m" } },
        "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" }, "periodSeconds": 2 },
    }));
    value["metadata"]["annotations"] = json!({
        "sampan.dev/concurrency": "7", "sampan.dev/isolation": "replica", "sampan.dev/max-reuse": "9",
        "sampan.dev/request-deadline": "5s", "sampan.dev/outbound": "products, *.example.com, [::1]:80",
        "sampan.dev/key-value": "carts", "prometheus.io/scrape": "true",
    });
    value["spec"]["terminationGracePeriodSeconds"] = json!(3);
    value["spec"]["nodeSelector"] = json!({ "disk": "fast" });
    let template = parse(&value).expect("it is right");
    assert_eq!(template.image, "hello:v1");
    assert_eq!(template.limits.memory_bytes, 64 << 20);
    assert_eq!(template.limits.isolation, Isolation::Replica { max_reuse: 9 });
    assert_eq!(template.limits.request_deadline, Duration::from_secs(5));
    assert_eq!(template.requests, Resources { cpu_millis: 100, memory_bytes: 64 << 20 });
    assert_eq!(template.grants.outbound, ["products", "*.example.com", "[::1]:80"]);
    assert_eq!(template.grants.key_value, ["carts"]);
    assert_eq!(template.grace, Duration::from_secs(3));
    let readiness = template.probes.readiness.expect("there is one");
    assert_eq!((readiness.path.as_str(), readiness.failure_threshold), ("/ready", 3));
    assert_eq!(template.environment.len(), 3);
    assert!(matches!(&template.environment[0], EnvSource::AllOfConfigMap { prefix, .. } if prefix == "S_"));
}

#[test]
fn what_kubernetes_fills_in_makes_no_other_revision() {
    let plain = parse(&template(json!({ "ports": [ { "containerPort": 80 } ] }))).expect("right");
    let mut filled = template(json!({ "ports": [ { "containerPort": 80, "protocol": "TCP" } ], "resources": {} }));
    filled["metadata"]["creationTimestamp"] = Value::Null;
    filled["spec"]["restartPolicy"] = json!("Always");
    filled["spec"]["securityContext"] = json!({});
    assert_eq!(plain.hash, parse(&filled).expect("right").hash);
    let other = parse(&template(json!({ "image": "hello:v2" }))).expect("right");
    assert_ne!(plain.hash, other.hash);
}

#[test]
fn what_a_guest_cannot_have_is_refused_with_what_to_do_instead() {
    let container = "spec.containers[0]";
    let cases = [
        (json!({ "command": ["sh"] }), format!("{container}.command"), "env"),
        (json!({ "args": ["x"] }), format!("{container}.args"), "env"),
        (
            json!({ "volumeMounts": [ { "name": "a", "mountPath": "/" } ] }),
            format!("{container}.volumeMounts[0].name"),
            "spec.volumes",
        ),
        (
            json!({ "securityContext": { "privileged": true } }),
            format!("{container}.securityContext.privileged"),
            "false",
        ),
        (
            json!({ "livenessProbe": { "exec": { "command": ["a"] } } }),
            format!("{container}.livenessProbe.exec"),
            "httpGet",
        ),
        (
            json!({ "ports": [ { "containerPort": 1, "protocol": "UDP" } ] }),
            format!("{container}.ports[0].protocol"),
            "TCP",
        ),
        (
            json!({ "resources": { "limits": { "nvidia.com/gpu": 1 } } }),
            format!("{container}.resources.limits"),
            "memory",
        ),
        (
            json!({ "resources": { "limits": { "memory": "much" } } }),
            format!("{container}.resources.limits.memory"),
            "128Mi",
        ),
        (json!({ "image": "" }), format!("{container}.image"), "missing"),
        (json!({ "image": "Not An Image" }), format!("{container}.image"), "Not An Image"),
        (json!({ "env": [ { "name": "a=b" } ] }), format!("{container}.env[0].name"), "="),
        (
            json!({ "readinessProbe": { "httpGet": { "port": "web" } } }),
            format!("{container}.readinessProbe.httpGet.port"),
            "web",
        ),
    ];
    for (fields, path, word) in cases {
        refuses(&template(fields), &path, word);
    }
    let mut pod = template(json!({}));
    pod["spec"]["hostNetwork"] = json!(true);
    pod["spec"]["volumes"] = json!([ { "name": "a", "emptyDir": {} }, { "name": "b", "hostPath": { "path": "/" } },
        { "name": "c", "configMap": { "name": "c" } }, { "name": "a", "persistentVolumeClaim": { "claimName": "d" } } ]);
    refuses(&pod, "spec.hostNetwork", "LoadBalancer");
    refuses(&pod, "spec.volumes[1].hostPath", "keyvalue");
    refuses(&pod, "spec.volumes[2].configMap", "envFrom");
    refuses(&pod, "spec.volumes[3].persistentVolumeClaim", "keyvalue");
    refuses(&pod, "spec.volumes[3].name", "twice");
    pod["spec"]["containers"] = json!([ { "name": "a", "image": "a" }, { "name": "b", "image": "b" } ]);
    refuses(&pod, "spec.containers[1]", "Deployment");
}

#[test]
fn a_command_line_is_one_mistake_and_an_empty_directory_none() {
    let both = template(json!({ "command": ["sh"], "args": ["-c", "sleep 1"] }));
    assert_eq!(errors(&both).len(), 1, "{:?}", errors(&both));
    let mut pod = template(json!({ "volumeMounts": [ { "name": "tmp", "mountPath": "/tmp" } ] }));
    pod["spec"]["volumes"] = json!([ { "name": "tmp", "emptyDir": { "medium": "Memory", "sizeLimit": "64Mi" } } ]);
    assert_eq!(errors(&pod), Vec::<String>::new());
    pod["spec"]["volumes"][0] = json!({ "name": "tmp", "secret": { "secretName": "s" } });
    assert_eq!(errors(&pod).len(), 1, "where it is mounted is no mistake of its own: {:?}", errors(&pod));
    let twice = json!({ "name": "tmp", "mountPath": "/tmp" });
    pod["spec"]["containers"][0]["volumeMounts"] = json!([twice, twice]);
    refuses(&pod, "spec.containers[0].volumeMounts[1].mountPath", "twice");
}

#[test]
fn annotations_are_checked_by_name_and_value() {
    let cases = [
        ("sampan.dev/concurency", "1", "sampan.dev/concurrency"),
        ("sampan.dev/concurrency", "many", "whole number"),
        ("sampan.dev/isolation", "pod", "request"),
        ("sampan.dev/request-deadline", "10", "30s"),
        ("sampan.dev/outbound", "https://example.com/", "scheme"),
        ("sampan.dev/key-value", "a b", "name"),
        ("sampan.dev/image-digest", "x", "ReplicaSet"),
    ];
    for (key, text, word) in cases {
        let mut value = template(json!({}));
        value["metadata"]["annotations"] = json!({ key: text });
        refuses(&value, &format!("metadata.annotations[{key}]"), word);
    }
}

#[test]
fn what_a_container_is_limited_to_can_be_its_environment() {
    let env = |resource: &str, divisor: &str| json!({ "name": resource, "valueFrom": { "resourceFieldRef": { "resource": resource, "divisor": divisor } } });
    let resources = json!({ "limits": { "cpu": "1500m", "memory": "64Mi" }, "requests": { "cpu": "250m" } });
    let all =
        [env("limits.cpu", "0"), env("limits.memory", "1Mi"), env("requests.cpu", "1m"), env("requests.memory", "1")];
    let read = parse(&template(json!({ "resources": resources, "env": all }))).expect("right").environment;
    let values: Vec<_> = read
        .iter()
        .map(|source| match source {
            EnvSource::Value { value, .. } => value.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(values, ["2", "64", "250", "67108864"]);
    refuses(&template(json!({ "env": [env("limits.cpu", "1")] })), "spec.containers[0].env[0].valueFrom", "not set");
    refuses(&template(json!({ "env": [env("limits.disk", "1")] })), "spec.containers[0].env[0].valueFrom", "not known");
}

#[test]
fn a_node_affinity_is_held_against_the_labels_of_workers() {
    let with = |terms: Value| {
        let mut pod = template(json!({}));
        pod["spec"]["nodeSelector"] = json!({ "disk": "fast" });
        let required = json!({ "nodeSelectorTerms": terms });
        pod["spec"]["affinity"] =
            json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": required } });
        pod
    };
    let one = |key: &str, operator: &str, values: Value| json!({ "key": key, "operator": operator, "values": values });
    let of = |expressions: Value| with(json!([{ "matchExpressions": expressions }]));
    let labels = |labels: &[(&str, &str)]| {
        let labels =
            labels.iter().chain(&[("disk", "fast"), ("kubernetes.io/arch", "arm64"), ("kubernetes.io/hostname", "w1")]);
        labels.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let zones = parse(&with(json!([
        { "matchExpressions": [one("zone", "In", json!(["a", "b"])), one("old", "DoesNotExist", json!([]))] },
        { "matchExpressions": [one("cores", "Gt", json!(["7"]))] },
    ])))
    .expect("right");
    for (given, right) in [
        (&[("zone", "b")][..], true),
        (&[("zone", "c")], false),
        (&[("zone", "b"), ("old", "yes")], false),
        (&[("cores", "8")], true),
        (&[("cores", "7")], false),
    ] {
        assert_eq!(zones.admits(&labels(given)), right, "{given:?}");
    }
    assert!(!zones.admits(&BTreeMap::from([("zone".to_owned(), "a".to_owned())])), "the node selector holds too");
    let anywhere = of(json!([one("kubernetes.io/arch", "In", json!(["amd64", "arm64", "s390x"]))]));
    assert!(parse(&anywhere).unwrap().admits(&labels(&[])));
    let named = |name: &str| with(json!([{ "matchFields": [one("metadata.name", "In", json!([name]))] }]));
    assert!(parse(&named("w1")).unwrap().admits(&labels(&[])) && !parse(&named("w2")).unwrap().admits(&labels(&[])));
    for (wrong, why) in [
        (of(json!([one("a", "In", json!([]))])), "one value at least"),
        (of(json!([one("a", "Exists", json!(["b"]))])), "must be empty"),
        (of(json!([one("a", "Gt", json!(["many"]))])), "whole number"),
        (of(json!([one("a", "Like", json!(["b"]))])), "write `In`"),
        (of(json!([one("no label!", "Exists", json!([]))])), "no name of a label"),
        (with(json!([{ "matchFields": [one("spec.a", "In", json!(["b"]))] }])), "metadata.name"),
        (with(json!([{ "matchFields": [one("metadata.name", "In", json!(["a", "b"]))] }])), "one value"),
        (with(json!([])), "one term at least"),
        (of(json!([one("a", "In", json!(vec!["b"; 300]))])), "at most 256"),
    ] {
        refuses(
            &wrong,
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
            why,
        );
    }
}
