//! What charts bring with them beside Deployments and Services.

use super::*;
use crate::resources;

const SERVICES: &str = "/api/v1/namespaces/default/services";

fn warnings(response: &http::Response<Body>) -> Vec<String> {
    let texts = response.headers().get_all(header::WARNING).iter();
    texts.map(|value| value.to_str().unwrap().trim_start_matches("299 - ").trim_matches('"').to_owned()).collect()
}

/// Creates an object that must be right; answers what its writer is told.
async fn told(fixture: &Fixture, path: &str, object: &Value) -> Vec<String> {
    let json = [("content-type", "application/json")];
    let response = fixture.response("POST", path, &json, &object.to_string()).await;
    assert_eq!(response.status(), StatusCode::CREATED, "{object}");
    warnings(&response)
}
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";

fn service(name: &str, spec: &Value) -> Value {
    let mut object = json!({ "metadata": { "name": name },
        "spec": { "selector": { "app": "a" }, "ports": [ { "port": 80 } ] } });
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object
}

#[tokio::test]
async fn kinds_that_nothing_here_goes_by_are_stored_and_their_writers_told() {
    let fixture = Fixture::new().await;
    let (space, rbac) = ("/namespaces/default", "/apis/rbac.authorization.k8s.io/v1");
    let binding = json!({ "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r" },
        "subjects": [ { "kind": "ServiceAccount", "name": "s", "namespace": "default" } ] });
    let rules = json!({ "rules": [ { "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] } ] });
    let cases = [
        (format!("/api/v1{space}/serviceaccounts"), json!({ "automountServiceAccountToken": true }), "no account"),
        (format!("{rbac}{space}/roles"), rules.clone(), ""),
        (format!("{rbac}/clusterroles"), rules, ""),
        (format!("{rbac}{space}/rolebindings"), binding.clone(), ""),
        (format!("{rbac}/clusterrolebindings"), binding, ""),
        (
            format!("/apis/policy/v1{space}/poddisruptionbudgets"),
            json!({ "spec": { "minAvailable": "50%", "selector": { "matchLabels": { "app": "a" } } } }),
            "another has taken its place",
        ),
        ("/apis/networking.k8s.io/v1/ingressclasses".to_owned(), json!({ "spec": { "controller": "a/b" } }), "gateway"),
    ];
    for (path, mut object, word) in cases {
        object["metadata"] = json!({ "name": "x" });
        let said = told(&fixture, &path, &object).await;
        // Roles are gone by.
        let right = if word.is_empty() { said.is_empty() } else { said.len() == 1 && said[0].contains(word) };
        assert!(right, "{path}: {said:?}");
        let (code, mut stored) = fixture.get(&format!("{path}/x")).await;
        assert_eq!(code, StatusCode::OK, "{path}");
        for field in ["spec", "rules", "subjects"] {
            assert_eq!(stored[field].take(), object[field].take(), "{path} {field}");
        }
        object["nonsense"] = json!(1);
        object["metadata"]["name"] = json!("y");
        let strict = fixture.post(&format!("{path}?fieldValidation=Strict"), &object).await.0;
        assert!(strict.is_client_error(), "{path}: {strict}");
        // Beside it there may be what each namespace has from the beginning.
        let table = fixture.table(&path).await;
        let names =
            table["rows"].as_array().unwrap().iter().map(|row| &row["cells"][0]).filter(|name| **name != "default");
        assert_eq!(names.collect::<Vec<_>>(), ["x"], "{path}");
        let deleted = fixture.call("DELETE", &format!("{path}/x"), &[], "").await;
        assert_eq!(deleted.0, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_lease_is_taken_renewed_and_lost_by_its_version() {
    let fixture = Fixture::new().await;
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let lease = json!({ "metadata": { "name": "leader" }, "spec": { "holderIdentity": "a", "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z" } });
    assert_eq!(told(&fixture, path, &lease).await, Vec::<String>::new());
    let (_, mut held) = fixture.get(&format!("{path}/leader")).await;
    held["spec"]["renewTime"] = json!("2026-01-01T00:00:10.000000Z");
    let put = async |object: &Value| {
        let json = [("content-type", "application/json")];
        fixture.call("PUT", &format!("{path}/leader"), &json, &object.to_string()).await.0
    };
    assert_eq!(put(&held).await, StatusCode::OK);
    held["spec"]["holderIdentity"] = json!("b");
    assert_eq!(put(&held).await, StatusCode::CONFLICT);
}

#[tokio::test]
async fn names_of_roles_are_what_can_stand_in_a_path() {
    let fixture = Fixture::new().await;
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let role = |name: &str| json!({ "metadata": { "name": name }, "rules": [] });
    fixture.create(path, &role("system:Auth_Delegator")).await;
    assert_eq!(fixture.get(&format!("{path}/system:Auth_Delegator")).await.0, StatusCode::OK);
    for wrong in ["..", "a/b", "a%2fb"] {
        assert_eq!(fixture.post(path, &role(wrong)).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn what_changes_nothing_for_a_guest_is_taken_with_a_warning_that_says_why() {
    let fixture = Fixture::new().await;
    let mut object = deployment("cart");
    let spec = &mut object["spec"]["template"]["spec"];
    spec.as_object_mut().unwrap().extend(
        json!({
            "serviceAccountName": "cart", "automountServiceAccountToken": true, "os": { "name": "linux" },
            "shareProcessNamespace": false, "setHostnameAsFQDN": false, "preemptionPolicy": "PreemptLowerPriority",
            "runtimeClassName": "wasmtime-spin-v2", "securityContext": { "runAsUser": 1000, "fsGroup": 1000, "runAsNonRoot": true },
            "volumes": [ { "name": "tmp", "emptyDir": { "medium": "Memory" } } ],
            "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [ {
                "weight": 1, "podAffinityTerm": { "topologyKey": "kubernetes.io/hostname" } } ] } },
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    spec["containers"][0].as_object_mut().unwrap().extend(
        json!({
            "securityContext": { "runAsUser": 1, "runAsGroup": 1, "readOnlyRootFilesystem": false,
                "capabilities": { "drop": ["ALL"], "add": ["NET_BIND_SERVICE"] } },
            "resources": { "limits": { "cpu": "1", "ephemeral-storage": "1Gi" } },
            "resizePolicy": [ { "resourceName": "cpu", "restartPolicy": "NotRequired" } ],
            "lifecycle": { "preStop": { "sleep": { "seconds": 5 } } },
            "readinessProbe": { "grpc": { "port": 8080 } }, "livenessProbe": { "tcpSocket": { "port": 8080 } },
            "volumeMounts": [ { "name": "tmp", "mountPath": "/tmp" } ],
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    fixture.create(ACCOUNTS, &json!({ "metadata": { "name": "cart" } })).await;
    let said = told(&fixture, DEPLOYMENTS, &object).await;
    let (pod, container) = ("spec.template.spec", "spec.template.spec.containers[0]");
    let expected = [
        format!("{pod}.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution"),
        format!("{pod}.automountServiceAccountToken"),
        format!("{container}.lifecycle.preStop.sleep"),
        format!("{container}.livenessProbe.tcpSocket"),
        format!("{container}.readinessProbe.grpc"),
        format!("{container}.resizePolicy"),
        format!("{container}.resources.limits.ephemeral-storage"),
        format!("{container}.securityContext.capabilities.add"),
        format!("{container}.securityContext.readOnlyRootFilesystem"),
        format!("{container}.securityContext.runAsGroup"),
        format!("{container}.securityContext.runAsUser"),
        format!("{container}.volumeMounts"),
        format!("{pod}.os.name"),
        format!("{pod}.runtimeClassName"),
        format!("{pod}.securityContext.fsGroup"),
        format!("{pod}.securityContext.runAsUser"),
        format!("{pod}.serviceAccountName"),
    ];
    let mut paths: Vec<_> =
        said.iter().map(|text| text.split_once(": changes nothing: ").unwrap().0.to_owned()).collect();
    paths.sort();
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(paths, expected);
    assert!(said.iter().all(|text| text.len() > 60), "each says why: {said:?}");
}

#[tokio::test]
async fn a_refusal_names_one_cause_for_each_mistake_with_a_reason() {
    let fixture = Fixture::new().await;
    let mut object = deployment("cart");
    let spec = &mut object["spec"]["template"]["spec"];
    spec["containers"][0]["livenessProbe"] = json!({ "exec": { "command": ["cat"] } });
    spec["containers"][0]["readinessProbe"] = json!({ "exec": { "command": ["cat"] } });
    spec["readinessGates"] = json!([ { "conditionType": "a/b" } ]);
    spec["dnsConfig"] = json!({ "nameservers": ["1.1.1.1"] });
    spec["volumes"] = json!([ { "name": "a", "persistentVolumeClaim": { "claimName": "a" } } ]);
    spec["containers"][0]["volumeMounts"] = json!([ { "name": "a", "mountPath": "/data" } ]);
    spec["containers"][0]["command"] = json!(["/app"]);
    spec["containers"][0]["args"] = json!(["-v"]);
    let (code, status) = fixture.post(DEPLOYMENTS, &object).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    let causes = status["details"]["causes"].as_array().unwrap();
    let fields: Vec<_> = causes.iter().filter_map(|cause| cause["field"].as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.template.spec.containers[0].livenessProbe.exec",
            "spec.template.spec.containers[0].readinessProbe.exec",
            "spec.template.spec.dnsConfig.nameservers",
            "spec.template.spec.readinessGates",
            "spec.template.spec.volumes[0].persistentVolumeClaim",
            "spec.template.spec.containers[0].command",
        ]
    );
    assert!(!status.to_string().contains("remove it"), "{status}");
}

#[tokio::test]
async fn selectors_by_expressions_are_taken_and_must_match_the_template() {
    let fixture = Fixture::new().await;
    let mut object = deployment("cart");
    object["spec"]["selector"] =
        json!({ "matchExpressions": [ { "key": "app", "operator": "In", "values": ["cart", "basket"] } ] });
    fixture.create(DEPLOYMENTS, &object).await;
    let (_, scale) = fixture.get(&format!("{DEPLOYMENTS}/cart/scale")).await;
    assert_eq!(scale["status"]["selector"], "app in (cart,basket)");
    object["metadata"]["name"] = json!("other");
    object["spec"]["selector"]["matchExpressions"][0]["operator"] = json!("NotIn");
    let (code, status) = fixture.post(DEPLOYMENTS, &object).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(status["message"].as_str().unwrap().contains("app notin (cart,basket)"), "{status}");
}

#[tokio::test]
async fn each_service_has_an_address_of_its_own_that_stays() {
    let fixture = Fixture::new().await;
    let first = fixture.create(SERVICES, &service("a", &json!({}))).await;
    let second = fixture.create(SERVICES, &service("b", &json!({}))).await;
    let ip = first["spec"]["clusterIP"].as_str().unwrap();
    assert!(ip.parse::<std::net::Ipv4Addr>().is_ok() && second["spec"]["clusterIP"] != ip, "{first}");
    assert_eq!((&first["spec"]["clusterIPs"], &first["status"]), (&json!([ip]), &json!({ "loadBalancer": {} })));
    // A PUT that leaves it away keeps it; one that changes it is refused, and so is one that another has.
    let json = [("content-type", "application/json")];
    let put = async |object: &Value| fixture.call("PUT", &format!("{SERVICES}/a"), &json, &object.to_string()).await;
    assert_eq!(put(&service("a", &json!({ "type": "LoadBalancer" }))).await.1["spec"]["clusterIP"], ip);
    assert_eq!(put(&service("a", &json!({ "clusterIP": "10.96.9.9" }))).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (code, status) = fixture.post(SERVICES, &service("c", &json!({ "clusterIP": ip }))).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(status["message"].as_str().unwrap().contains("default/a"), "{status}");
    // Once its Service is gone it is free again.
    fixture.call("DELETE", &format!("{SERVICES}/a"), &[], "").await;
    let again = fixture.create(SERVICES, &service("c", &json!({ "clusterIP": ip }))).await;
    assert_eq!(again["spec"]["clusterIP"], ip);
}

#[tokio::test]
async fn a_headless_service_has_no_address() {
    let fixture = Fixture::new().await;
    let created = fixture.create(SERVICES, &service("a", &json!({ "clusterIP": "None" }))).await;
    assert_eq!((&created["spec"]["clusterIP"], &created["spec"]["clusterIPs"]), (&json!("None"), &json!(["None"])));
    let patch = json!({ "spec": { "clusterIP": null, "ports": [ { "port": 81 } ] } });
    let (_, patched) = fixture.patch(&format!("{SERVICES}/a"), "merge-patch+json", &patch).await;
    assert_eq!(patched["spec"]["clusterIP"], "None");
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_path_changes_nothing() {
    let fixture = Fixture::new().await;
    for path in ["/version", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", SERVICES, "/readyz"] {
        let (code, plain) = fixture.get(path).await;
        assert_eq!(fixture.get(&format!("{path}/")).await, (code, plain), "{path}");
        assert_eq!(code, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn every_kind_that_can_be_written_says_what_it_honours() {
    for resource in resources::ALL.iter().filter(|resource| resource.durability == resources::Durability::Durable) {
        let written = !resource.honoured.is_empty() || resource.view.is_some();
        assert!(written, "{}", resource.kind);
    }
}

#[tokio::test]
async fn a_writer_is_told_of_what_he_writes_and_not_again_of_what_stood_there() {
    let fixture = Fixture::new().await;
    let mut object = deployment("cart");
    object["spec"]["template"]["spec"]["serviceAccountName"] = json!("cart");
    object["spec"]["template"]["spec"]["securityContext"] = json!({ "runAsUser": 1 });
    let said = told(&fixture, DEPLOYMENTS, &object).await;
    assert_eq!(said.len(), 3);
    assert!(said.iter().any(|text| text.contains("there is no ServiceAccount cart")), "{said:?}");
    let path = format!("{DEPLOYMENTS}/cart");
    let patched = async |path: &str, patch: Value| {
        let kind = [("content-type", "application/strategic-merge-patch+json")];
        let response = fixture.response("PATCH", path, &kind, &patch.to_string()).await;
        assert_eq!(response.status(), StatusCode::OK, "{patch}");
        warnings(&response)
    };
    let none = Vec::<String>::new();
    assert_eq!(patched(&path, json!({ "metadata": { "labels": { "a": "b" } } })).await, none);
    assert_eq!(patched(&path, json!({ "spec": { "replicas": 2 } })).await, none);
    assert_eq!(patched(&format!("{path}/scale"), json!({ "spec": { "replicas": 3 } })).await, none);
    assert_eq!(patched(&format!("{path}/status"), json!({ "status": { "replicas": 3 } })).await, none);
    let in_pod = |fields: Value| json!({ "spec": { "template": { "spec": fields } } });
    let said = patched(&path, in_pod(json!({ "securityContext": { "runAsUser": 2 } }))).await;
    assert!(said.len() == 1 && said[0].contains("runAsUser"), "{said:?}");
    let said = patched(&path, in_pod(json!({ "automountServiceAccountToken": true }))).await;
    assert!(said.len() == 1 && said[0].contains("automountServiceAccountToken"), "{said:?}");
    let policies = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
    let policy = json!({ "metadata": { "name": "p" }, "spec": { "podSelector": {}, "policyTypes": ["Ingress"] } });
    assert_eq!(told(&fixture, policies, &policy).await, none, "it is enforced");
    let path = format!("{policies}/p");
    let udp = json!({ "spec": { "ingress": [ { "ports": [ { "port": 53, "protocol": "UDP" } ] } ] } });
    let said = patched(&path, udp).await;
    assert!(said.len() == 1 && said[0].contains("spec.ingress[0].ports[0].protocol"), "{said:?}");
    assert_eq!(patched(&path, json!({ "metadata": { "labels": { "a": "b" } } })).await, none);
    let said = patched(&path, json!({ "spec": { "policyTypes": ["Egress"] } })).await;
    assert!(said.iter().any(|text| text.contains("spec.ingress: changes nothing")), "{said:?}");
}

#[tokio::test]
async fn ports_of_nodes_and_tls_are_taken_with_what_there_is_instead() {
    let fixture = Fixture::new().await;
    let spec = json!({ "type": "NodePort", "externalTrafficPolicy": "Local", "ports": [ { "port": 80, "nodePort": 30001, "appProtocol": "grpc" } ] });
    let said = told(&fixture, SERVICES, &service("a", &spec)).await;
    let told_of = |field: &str| said.iter().any(|text| text.starts_with(&format!("{field}: changes nothing: ")));
    for field in ["spec.type", "spec.externalTrafficPolicy", "spec.ports[0].nodePort", "spec.ports[0].appProtocol"] {
        assert!(told_of(field), "{field}: {said:?}");
    }
    let (_, stored) = fixture.get(&format!("{SERVICES}/a")).await;
    assert_eq!((&stored["spec"]["type"], &stored["spec"]["ports"][0]["nodePort"]), (&json!("NodePort"), &json!(30001)));
    let wrong = service("b", &json!({ "type": "Nodeport" }));
    assert_eq!(fixture.post(SERVICES, &wrong).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let ingress = json!({ "metadata": { "name": "a" }, "spec": { "ingressClassName": "sampan",
        "tls": [ { "hosts": ["a.example"], "secretName": "a-tls" } ],
        "rules": [ { "host": "a.example", "http": { "paths": [ { "path": "/", "pathType": "Prefix",
            "backend": { "service": { "name": "a", "port": { "number": 80 } } } } ] } } ] } });
    let said = told(&fixture, "/apis/networking.k8s.io/v1/namespaces/default/ingresses", &ingress).await;
    assert!(said.len() == 1 && said[0].contains("plain HTTP"), "{said:?}");
}
