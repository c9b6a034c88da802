//! Deployments in the shape of two known demonstrations, with images of ours: all are taken but for what no guest can do.

use super::*;

/// What a Deployment of such a shop has beside the others.
#[derive(Clone, Copy, PartialEq)]
enum Has {
    Grpc,
    TcpSocket,
    HttpGet,
    NoProbe,
    EmptyDir,
    InitContainer,
    Arguments,
}
use Has::*;

/// `(name, what it has, the last part of each path that is refused)`, in the shape of Online Boutique.
const BOUTIQUE: [(&str, &[Has], &[&str]); 12] = [
    ("adservice", &[Grpc], &[]),
    ("cartservice", &[Grpc], &[]),
    ("checkoutservice", &[Grpc], &[]),
    ("currencyservice", &[Grpc], &[]),
    ("emailservice", &[Grpc], &[]),
    ("frontend", &[HttpGet], &[]),
    ("loadgenerator", &[NoProbe, InitContainer], &["initContainers"]),
    ("paymentservice", &[Grpc], &[]),
    ("productcatalogservice", &[Grpc], &[]),
    ("recommendationservice", &[Grpc], &[]),
    ("redis-cart", &[TcpSocket, EmptyDir], &[]),
    ("shippingservice", &[Grpc], &[]),
];

/// The same of Sock Shop.
const SOCKS: [(&str, &[Has], &[&str]); 14] = [
    ("carts", &[NoProbe, EmptyDir], &[]),
    ("carts-db", &[NoProbe, EmptyDir], &[]),
    ("catalogue", &[HttpGet, Arguments], &["command"]),
    ("catalogue-db", &[NoProbe], &[]),
    ("front-end", &[HttpGet], &[]),
    ("orders", &[NoProbe, EmptyDir], &[]),
    ("orders-db", &[NoProbe, EmptyDir], &[]),
    ("payment", &[HttpGet], &[]),
    ("queue-master", &[NoProbe], &[]),
    ("rabbitmq", &[NoProbe], &[]),
    ("session-db", &[NoProbe], &[]),
    ("shipping", &[NoProbe, EmptyDir], &[]),
    ("user", &[HttpGet], &[]),
    ("user-db", &[NoProbe, EmptyDir], &[]),
];

fn merge(object: &mut Value, more: &Value) {
    json_patch::merge(object, more);
}

fn with(mut object: Value, has: &[Has]) -> Value {
    let pod = &mut object["spec"]["template"]["spec"];
    let port = json!(8080);
    for one in has {
        let container = &mut pod["containers"][0];
        match one {
            Grpc => merge(
                container,
                &json!({ "readinessProbe": { "periodSeconds": 15, "grpc": { "port": port } },
                "livenessProbe": { "grpc": { "port": port } } }),
            ),
            TcpSocket => merge(container, &json!({ "readinessProbe": { "tcpSocket": { "port": port } } })),
            HttpGet => merge(
                container,
                &json!({ "readinessProbe": { "initialDelaySeconds": 10, "httpGet": {
                "path": "/_healthz", "port": port, "httpHeaders": [ { "name": "Cookie", "value": "a=b" } ] } } }),
            ),
            NoProbe => {}
            EmptyDir => {
                container["volumeMounts"] = json!([ { "mountPath": "/data", "name": "data" } ]);
                pod["volumes"] = json!([ { "name": "data", "emptyDir": { "medium": "Memory" } } ]);
            }
            InitContainer => {
                pod["initContainers"] = json!([ { "name": "wait", "image": "hello:v1", "command": ["sh"] } ])
            }
            Arguments => merge(container, &json!({ "command": ["/app"], "args": ["-port=80"] })),
        }
    }
    object
}

fn boutique(name: &str) -> Value {
    let mut object = deployment(name);
    let user = json!({ "fsGroup": 1000, "runAsGroup": 1000, "runAsNonRoot": true, "runAsUser": 1000 });
    merge(
        &mut object["spec"]["template"]["spec"],
        &json!({ "serviceAccountName": name, "terminationGracePeriodSeconds": 5, "securityContext": user }),
    );
    merge(
        &mut object["spec"]["template"]["spec"]["containers"][0],
        &json!({ "ports": [ { "containerPort": 8080 } ], "env": [ { "name": "PORT", "value": "8080" } ],
            "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
                "privileged": false, "readOnlyRootFilesystem": true },
            "resources": { "requests": { "cpu": "100m", "memory": "64Mi" }, "limits": { "cpu": "200m", "memory": "128Mi" } } }),
    );
    object
}

fn socks(name: &str) -> Value {
    let mut object = deployment(name);
    object["spec"]["template"]["spec"]["nodeSelector"] = json!({ "beta.kubernetes.io/os": "linux" });
    merge(
        &mut object["spec"]["template"]["spec"]["containers"][0],
        &json!({ "ports": [ { "containerPort": 80 } ], "resources": { "limits": { "cpu": "300m", "memory": "500Mi" } },
            "securityContext": { "runAsNonRoot": true, "runAsUser": 10001, "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["all"], "add": ["NET_BIND_SERVICE"] } } }),
    );
    object
}

async fn takes(shop: &[(&str, &[Has], &[&str])], shape: fn(&str) -> Value) {
    let fixture = Fixture::new().await;
    for (name, has, refused) in shop {
        let (code, answer) = fixture.post(DEPLOYMENTS, &with(shape(name), has)).await;
        let causes = answer["details"]["causes"].as_array().into_iter().flatten();
        let last = |cause: &Value| cause["field"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
        assert_eq!(causes.map(last).collect::<Vec<_>>(), *refused, "{name}: {answer}");
        assert_eq!(code == StatusCode::CREATED, refused.is_empty(), "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_boutique_of_twelve_is_taken_but_for_a_container_that_runs_before() {
    takes(&BOUTIQUE, boutique).await;
}

#[tokio::test]
async fn a_shop_of_socks_is_taken_but_for_a_command() {
    takes(&SOCKS, socks).await;
}
