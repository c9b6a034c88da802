//! Values that Kubernetes refuses, also where they would change nothing here; and what it takes for something never set.

use super::*;

const SERVICES: &str = "/api/v1/namespaces/default/services";
const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const AUTOSCALERS: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";

fn merged(mut object: Value, change: Value) -> Value {
    json_patch::merge(&mut object, &change);
    object
}

fn deployed(change: Value) -> Value {
    merged(deployment("a"), change)
}

/// A Deployment whose container has these fields too.
fn container(fields: Value) -> Value {
    let mut object = deployment("a");
    json_patch::merge(&mut object["spec"]["template"]["spec"]["containers"][0], &fields);
    object
}

fn pod(spec: Value) -> Value {
    deployed(json!({ "spec": { "template": { "spec": spec } } }))
}

fn service(spec: Value) -> Value {
    merged(
        json!({ "metadata": { "name": "a" }, "spec": { "selector": { "app": "a" }, "ports": [ { "port": 80 } ] } }),
        json!({ "spec": spec }),
    )
}

fn ingress(path: &str, kind: &str, service: Value) -> Value {
    json!({ "metadata": { "name": "a" }, "spec": { "rules": [ { "host": "a.b", "http": { "paths": [
        { "path": path, "pathType": kind, "backend": { "service": service } } ] } } ] } })
}

fn secret(kind: &str, data: Value) -> Value {
    json!({ "metadata": { "name": "a" }, "type": kind, "data": data })
}

async fn refuses(fixture: &Fixture, path: &str, cases: Vec<(Value, &str)>) {
    for (object, field) in cases {
        let (code, status) = fixture.post(path, &object).await;
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{field}: {object}: {status}");
        let causes = status["details"]["causes"].as_array().unwrap();
        let fields: Vec<_> = causes.iter().filter_map(|cause| cause["field"].as_str()).collect();
        assert!(fields.iter().any(|one| one.ends_with(field)), "{field}: {object}: {fields:?}");
    }
}

#[tokio::test]
async fn values_of_a_template_that_kubernetes_refuses_are_refused() {
    let cases = vec![
        (container(json!({ "ports": [ { "containerPort": 80, "name": "80" } ] })), "ports[0].name"),
        (container(json!({ "ports": [ { "containerPort": 80, "name": "HTTP" } ] })), "ports[0].name"),
        (
            container(
                json!({ "env": [ { "name": "A", "valueFrom": { "configMapKeyRef": { "name": "x", "key": "a b" } } } ] }),
            ),
            "configMapKeyRef.key",
        ),
        (container(json!({ "envFrom": [ { "configMapRef": { "name": "X_" } } ] })), "configMapRef.name"),
        (container(json!({ "envFrom": [ { "prefix": "=", "secretRef": { "name": "x" } } ] })), "envFrom[0].prefix"),
        (
            container(json!({ "livenessProbe": { "httpGet": { "port": 80 }, "tcpSocket": { "port": 80 } } })),
            "livenessProbe.tcpSocket",
        ),
        (container(json!({ "livenessProbe": { "exec": {} } })), "livenessProbe.exec.command"),
        (container(json!({ "lifecycle": { "postStart": {} } })), "lifecycle.postStart"),
        (container(json!({ "terminationMessagePolicy": "Foo" })), "terminationMessagePolicy"),
        (container(json!({ "securityContext": { "procMount": "Foo" } })), "securityContext.procMount"),
        (pod(json!({ "securityContext": { "runAsUser": -1 } })), "securityContext.runAsUser"),
        (pod(json!({ "serviceAccountName": "A_" })), "serviceAccountName"),
        (pod(json!({ "hostname": "A_" })), "hostname"),
        (pod(json!({ "dnsPolicy": "Foo" })), "dnsPolicy"),
        (container(json!({ "readinessProbe": { "httpGet": { "port": 80, "scheme": "FTP" } } })), "httpGet.scheme"),
        (
            container(json!({ "readinessProbe": { "httpGet": { "port": 80 }, "terminationGracePeriodSeconds": 5 } })),
            "readinessProbe.terminationGracePeriodSeconds",
        ),
        (pod(json!({ "tolerations": [ { "operator": "Exists", "value": "x" } ] })), "tolerations[0].value"),
        (pod(json!({ "tolerations": [ { "key": "a b", "operator": "Exists" } ] })), "tolerations[0].key"),
        (
            pod(json!({ "tolerations": [ { "key": "a", "operator": "Exists", "tolerationSeconds": 5 } ] })),
            "tolerationSeconds",
        ),
        (
            pod(json!({ "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [
                { "weight": 101, "podAffinityTerm": { "topologyKey": "a" } } ] } } })),
            "[0].weight",
        ),
        (
            pod(json!({ "topologySpreadConstraints": [
                { "maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "ScheduleAnyway" },
                { "maxSkew": 2, "topologyKey": "a", "whenUnsatisfiable": "ScheduleAnyway" } ] })),
            "topologySpreadConstraints[1].topologyKey",
        ),
        (deployed(json!({ "spec": { "selector": null } })), "spec.selector.matchLabels"),
        (deployed(json!({ "metadata": { "annotations": { "a b": "c" } } })), "metadata.annotations"),
        (
            deployed(json!({ "spec": { "template": { "metadata": { "annotations": { "/a": "c" } } } } })),
            "template.metadata.annotations",
        ),
        (
            deployed(json!({ "metadata": { "ownerReferences": [
                { "apiVersion": "a/b/c", "kind": "A", "name": "b", "uid": "c" } ] } })),
            "ownerReferences[0].apiVersion",
        ),
    ];
    refuses(&Fixture::new().await, DEPLOYMENTS, cases).await;
}

#[tokio::test]
async fn values_of_services_and_ingresses_that_kubernetes_refuses_are_refused() {
    let fixture = Fixture::new().await;
    let port = |field: &str, value: Value| service(json!({ "ports": [ { "port": 80, field: value } ] }));
    let cases = vec![
        (port("targetPort", json!("80")), "ports[0].targetPort"),
        (port("appProtocol", json!("a b")), "ports[0].appProtocol"),
        (port("nodePort", json!(30000)), "ports[0].nodePort"),
        (service(json!({ "externalTrafficPolicy": "Local" })), "externalTrafficPolicy"),
        (service(json!({ "internalTrafficPolicy": "Foo" })), "internalTrafficPolicy"),
        (service(json!({ "ipFamilies": ["IPv4", "IPv4"] })), "ipFamilies[1]"),
        (service(json!({ "ipFamilyPolicy": "Foo" })), "ipFamilyPolicy"),
        (service(json!({ "clusterIPs": ["10.96.0.9"] })), "clusterIPs"),
        (service(json!({ "allocateLoadBalancerNodePorts": false })), "allocateLoadBalancerNodePorts"),
        (service(json!({ "sessionAffinity": "Foo" })), "sessionAffinity"),
        (service(json!({ "clusterIP": "None", "type": "LoadBalancer" })), "clusterIP"),
        (
            service(
                json!({ "sessionAffinity": "ClientIP", "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 0 } } }),
            ),
            "clientIP.timeoutSeconds",
        ),
    ];
    refuses(&fixture, SERVICES, cases).await;
    let right = || json!({ "name": "a", "port": { "number": 80 } });
    let mut cases = vec![
        (ingress("x", "ImplementationSpecific", right()), "paths[0].path"),
        (ingress("/", "Prefix", json!({ "name": "A_", "port": { "number": 80 } })), "service.name"),
        (ingress("/", "Prefix", json!({ "name": "a", "port": { "number": 80, "name": "x" } })), "service.port"),
        (ingress("/", "Prefix", json!({ "name": "a", "port": { "number": 0 } })), "service.port"),
        (ingress("/", "Prefix", json!({ "name": "a", "port": { "number": 70000 } })), "service.port.number"),
        (ingress("/", "Prefix", json!({ "name": "a", "port": { "name": "A" } })), "service.port.name"),
        (merged(ingress("/", "Prefix", right()), json!({ "spec": { "ingressClassName": "" } })), "ingressClassName"),
        (
            merged(ingress("/", "Prefix", right()), json!({ "spec": { "tls": [ { "hosts": ["A"] } ] } })),
            "tls[0].hosts[0]",
        ),
        (
            merged(
                ingress("/", "Prefix", right()),
                json!({ "metadata": { "annotations": { "kubernetes.io/ingress.class": "x" } }, "spec": { "ingressClassName": "y" } }),
            ),
            "annotations[kubernetes.io/ingress.class]",
        ),
    ];
    for path in ["/a//b", "/a/../b", "/a/./b", "/a%2fb", "/a/..", "/a/."] {
        cases.push((ingress(path, "Prefix", right()), "paths[0].path"));
    }
    refuses(&fixture, INGRESSES, cases).await;
    let host = |host: &str| json!({ "metadata": { "generateName": "a-" }, "spec": { "rules": [ { "host": host } ] } });
    for host in [host("a.b"), host("*.b"), host("")] {
        fixture.create(INGRESSES, &host).await;
    }
}

#[tokio::test]
async fn what_a_secret_of_a_known_type_holds_is_checked_and_so_are_keys_and_sizes() {
    let fixture = Fixture::new().await;
    let cases = vec![
        (secret("kubernetes.io/tls", json!({ "tls.crt": "eA==" })), "data[tls.key]"),
        (secret("kubernetes.io/dockerconfigjson", json!({})), "data[.dockerconfigjson]"),
        (secret("kubernetes.io/dockerconfigjson", json!({ ".dockerconfigjson": "eA==" })), "data[.dockerconfigjson]"),
        (secret("kubernetes.io/basic-auth", json!({})), "data[username]"),
        (secret("kubernetes.io/ssh-auth", json!({})), "data[ssh-privatekey]"),
        (secret("kubernetes.io/service-account-token", json!({})), "annotations[kubernetes.io/service-account.name]"),
        (secret("Opaque", json!({ "..a": "eA==" })), "data[..a]"),
    ];
    refuses(&fixture, SECRETS, cases).await;
    let text = |text: String| json!({ "metadata": { "name": "a" }, "data": { "a": text } });
    let cases = vec![
        (json!({ "metadata": { "name": "a" }, "data": { ".": "x" } }), "data[.]"),
        (text("x".repeat((1 << 20) + 1)), "data"),
    ];
    refuses(&fixture, CONFIG_MAPS, cases).await;
    let stored = merged(secret("kubernetes.io/basic-auth", json!({})), json!({ "stringData": { "password": "x" } }));
    fixture.create(SECRETS, &stored).await;
    let autoscaler = json!({ "metadata": { "name": "a" }, "spec": { "maxReplicas": 1,
        "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "a/b" } } });
    refuses(&fixture, AUTOSCALERS, vec![(autoscaler, "scaleTargetRef.name")]).await;
}

#[tokio::test]
async fn a_zero_or_an_empty_text_is_a_value_that_was_never_set() {
    let fixture = Fixture::new().await;
    let probe = json!({ "httpGet": { "path": "ready", "port": 80 }, "timeoutSeconds": 0, "periodSeconds": 0, "failureThreshold": 0,
        "successThreshold": 0 });
    let mut object =
        container(json!({ "readinessProbe": probe, "resources": { "limits": { "cpu": "0", "memory": "0" } } }));
    object["spec"]["strategy"] = json!({ "type": "" });
    object["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(-1);
    let created = fixture.create(DEPLOYMENTS, &object).await;
    let probe = &created["spec"]["template"]["spec"]["containers"][0]["readinessProbe"];
    assert_eq!(
        (&probe["timeoutSeconds"], &probe["periodSeconds"], &probe["failureThreshold"]),
        (&json!(1), &json!(10), &json!(3))
    );
    assert_eq!(created["spec"]["strategy"]["type"], "RollingUpdate");
}

#[tokio::test]
async fn what_an_earlier_type_of_a_service_has_left_does_not_keep_it_from_another() {
    let fixture = Fixture::new().await;
    let open = service(
        json!({ "type": "LoadBalancer", "externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": true,
        "ports": [ { "port": 80, "nodePort": 30000 } ] }),
    );
    fixture.create(SERVICES, &open).await;
    let path = format!("{SERVICES}/a");
    let (code, patched) = fixture.patch(&path, "merge-patch+json", &json!({ "spec": { "type": "ClusterIP" } })).await;
    assert_eq!(code, StatusCode::OK, "{patched}");
    let (code, labelled) =
        fixture.patch(&path, "merge-patch+json", &json!({ "metadata": { "labels": { "a": "b" } } })).await;
    assert_eq!(code, StatusCode::OK, "{labelled}");
}

#[tokio::test]
async fn the_writer_of_a_template_is_told_of_what_hides_something() {
    let fixture = Fixture::new().await;
    let variable = |value: &str| json!({ "name": "A", "value": value });
    let address = json!({ "name": "IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } });
    let mut object = container(json!({ "env": [ variable("1"), variable("2"), address ],
        "ports": [ { "containerPort": 80 }, { "containerPort": 80 } ] }));
    object["spec"]["template"]["spec"]["imagePullSecrets"] = json!([ { "name": "" }, { "name": "b" } ]);
    let json = [("content-type", "application/json")];
    let response = fixture.response("POST", DEPLOYMENTS, &json, &object.to_string()).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let said: Vec<_> =
        response.headers().get_all(header::WARNING).iter().map(|value| value.to_str().unwrap()).collect();
    let path = "spec.template.spec";
    for start in [
        format!("{path}.containers[0].env[1]: hides previous definition"),
        format!("{path}.containers[0].env[2].valueFrom.fieldRef: a replica has no address"),
        format!("{path}.containers[0].ports[1]: duplicate port definition"),
        format!("{path}.imagePullSecrets[0].name: invalid empty name"),
    ] {
        assert!(said.iter().any(|text| text.contains(&start)), "{start}: {said:?}");
    }
    // Each is told once, as what changes nothing is.
    let label = json!({ "metadata": { "labels": { "b": "c" } } }).to_string();
    let patch = [("content-type", "application/merge-patch+json")];
    let response = fixture.response("PATCH", &format!("{DEPLOYMENTS}/a"), &patch, &label).await;
    assert_eq!(response.headers().get_all(header::WARNING).iter().count(), 0);
}

#[tokio::test]
async fn the_writer_of_an_ingress_is_told_of_another_one_for_the_same_requests() {
    let fixture = Fixture::new().await;
    let named = |name: &str| {
        merged(
            ingress("/", "Prefix", json!({ "name": "a", "port": { "number": 80 } })),
            json!({ "metadata": { "name": name } }),
        )
    };
    fixture.create(INGRESSES, &named("m")).await;
    let json = [("content-type", "application/json")];
    // The older one has them, and of two of the same second the first by name.
    for (name, said) in [
        ("z", &["Ingress default/z gets no requests"][..]),
        ("a", &["Ingress default/m gets no requests", "Ingress default/a gets no requests"]),
    ] {
        let response = fixture.response("POST", INGRESSES, &json, &named(name).to_string()).await;
        let warning = response.headers().get(header::WARNING).map(|value| value.to_str().unwrap().to_owned());
        let warned = warning.as_deref().unwrap_or_default();
        assert!(said.iter().any(|said| warned.contains(said)), "{name}: {warning:?}");
    }
}
