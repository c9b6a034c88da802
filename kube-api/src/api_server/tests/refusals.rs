use super::*;

#[tokio::test]
async fn errors_are_status_objects_with_the_right_code_and_reason() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    let good = deployment("cart").to_string();
    let cases = [
        ("GET", "/apis/apps/v1/namespaces/default/deployments/none", "", 404, "NotFound"),
        ("GET", "/apis/apps/v1/gadgets", "", 404, "NotFound"),
        ("POST", DEPLOYMENTS, good.as_str(), 409, "AlreadyExists"),
        ("POST", DEPLOYMENTS, "{", 400, "BadRequest"),
        ("POST", DEPLOYMENTS, "[]", 400, "BadRequest"),
        ("POST", "/api/v1/namespaces/default/services", good.as_str(), 400, "BadRequest"),
        (
            "POST",
            "/apis/apps/v1/namespaces/other/deployments",
            "{\"metadata\":{\"namespace\":\"x\"}}",
            400,
            "BadRequest",
        ),
        ("POST", "/apis/apps/v1/namespaces/default/deployments/cart", good.as_str(), 405, "MethodNotAllowed"),
        ("GET", "/api/v1/pods?limit=many", "", 400, "BadRequest"),
        ("DELETE", "/apis/apps/v1/namespaces/default/deployments/cart?propagationPolicy=Later", "", 400, "BadRequest"),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/default/deployments/cart?propagationPolicy=Orphan&orphanDependents=true",
            "",
            400,
            "BadRequest",
        ),
    ];
    for (method, path, body, code, reason) in cases {
        let (got, status) = fixture.call(method, path, &[], body).await;
        assert_eq!((got.as_u16(), status["reason"].as_str()), (code, Some(reason)), "{method} {path}: {status}");
        assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(code)));
    }
}

#[tokio::test]
async fn a_body_of_another_kind_names_the_right_one() {
    let fixture = Fixture::new().await;
    let mut wrong = deployment("cart");
    wrong["kind"] = json!("deployment");
    let (code, status) = fixture.post(DEPLOYMENTS, &wrong).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    assert!(status["message"].as_str().unwrap().contains("kind `Deployment`"), "{status}");
}

#[tokio::test]
async fn fields_are_refused_by_their_paths() {
    let fixture = Fixture::new().await;
    let container = "spec.template.spec.containers[0]";
    let cases = [
        ("/spec/replicas", json!(-1), "spec.replicas".to_owned(), "out of range"),
        ("/spec/selector", json!({ "matchLabels": { "app": "x" } }), "spec.selector".to_owned(), "does not match"),
        ("/spec/template/spec/containers/0/command", json!(["sh"]), format!("{container}.command"), "env"),
        ("/spec/template/spec/containers/0/image", json!(""), format!("{container}.image"), "missing"),
        ("/spec/template/spec/hostNetwork", json!(true), "spec.template.spec.hostNetwork".to_owned(), "LoadBalancer"),
        ("/spec/strategy", json!({ "type": "Slow" }), "spec.strategy.type".to_owned(), "Recreate"),
        ("/metadata/name", json!("Cart_1"), "metadata.name".to_owned(), "lower-case"),
        ("/metadata/finalizers", json!(["mine"]), "metadata.finalizers[0]".to_owned(), "DOMAIN/NAME"),
        (
            "/metadata/annotations",
            json!({ "sampan.dev/concurrency": "1" }),
            "metadata.annotations[sampan.dev/concurrency]".to_owned(),
            "pod template",
        ),
    ];
    for (pointer, value, path, word) in cases {
        let mut object = deployment("cart");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value;
        let (code, status) = fixture.post(DEPLOYMENTS, &object).await;
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{pointer}: {status}");
        let causes = status["details"]["causes"].as_array().unwrap();
        let named = causes.iter().any(|c| c["field"] == path.as_str() && c["message"].as_str().unwrap().contains(word));
        assert!(named, "{path}, {word}: {status}");
    }
    assert_eq!(fixture.get(DEPLOYMENTS).await.1["items"], json!([]));
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_a_bad_request_and_a_patch_that_makes_one_is_not_valid() {
    let fixture = Fixture::new().await;
    let mut object = deployment("cart");
    object["spec"]["replicas"] = json!("3");
    let (code, status) = fixture.post(DEPLOYMENTS, &object).await;
    assert_eq!((code, &status["reason"]), (StatusCode::BAD_REQUEST, &json!("BadRequest")), "{status}");
    let message = status["message"].as_str().unwrap();
    assert!(
        message.starts_with("Deployment in version \"v1\" cannot be handled as a Deployment: spec.replicas: "),
        "{message}"
    );
    assert_eq!(status["details"]["causes"][0]["field"], "spec.replicas");
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    let path = format!("{DEPLOYMENTS}/cart");
    assert_eq!(fixture.call("PUT", &path, &[], &object.to_string()).await.0, StatusCode::BAD_REQUEST);
    for kind in ["merge-patch+json", "strategic-merge-patch+json"] {
        let (code, status) = fixture.patch(&path, kind, &json!({ "spec": { "replicas": "3" } })).await;
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{kind}: {status}");
    }
    let secrets = "/api/v1/namespaces/default/secrets";
    for wrong in [json!({ "data": { "a": 1 } }), json!({ "stringData": { "a": true } }), json!({ "data": "a" })] {
        let mut secret = wrong.clone();
        secret["metadata"] = json!({ "name": "s" });
        assert_eq!(fixture.post(secrets, &secret).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn a_service_that_is_a_name_elsewhere_is_one_mistake() {
    let fixture = Fixture::new().await;
    let object =
        json!({ "metadata": { "name": "s" }, "spec": { "type": "ExternalName", "externalName": "a.example" } });
    let (code, status) = fixture.post("/api/v1/namespaces/default/services", &object).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(status["details"]["causes"].as_array().map(Vec::len), Some(1), "{status}");
}

#[tokio::test]
async fn what_a_service_cannot_be_is_refused_with_the_way_out() {
    let fixture = Fixture::new().await;
    let service = |spec: Value| {
        let mut object =
            json!({ "metadata": { "name": "s" }, "spec": { "selector": { "app": "a" }, "ports": [ { "port": 80 } ] } });
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        object
    };
    let path = "/api/v1/namespaces/default/services";
    let cases = [
        (json!({ "type": "Nodeport" }), "spec.type"),
        (json!({ "type": "ExternalName", "externalName": "a.b" }), "spec.externalName"),
        (json!({ "clusterIP": "10.0.0.1" }), "spec.clusterIP"),
        (json!({ "sessionAffinity": "Client" }), "spec.sessionAffinity"),
        (json!({ "ports": [] }), "spec.ports"),
        (json!({ "ports": [ { "port": 80, "protocol": "UDP" } ] }), "spec.ports[0].protocol"),
        (json!({ "ports": [ { "port": 80, "name": "a" }, { "port": 80, "name": "b" } ] }), "spec.ports[1].port"),
        (json!({ "selector": {} }), "spec.selector"),
    ];
    for (spec, field) in cases {
        let (code, status) = fixture.post(path, &service(spec)).await;
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(
            status["details"]["causes"].as_array().unwrap().iter().any(|cause| cause["field"] == field),
            "{field}: {status}"
        );
    }
    let created = fixture.create(path, &service(json!({ "type": "LoadBalancer" }))).await;
    assert_eq!(created["spec"]["ports"][0]["targetPort"], 80);
}

#[tokio::test]
async fn media_types_and_sizes_that_cannot_be_taken_are_named() {
    let fixture = Fixture::new().await;
    let protobuf = [("content-type", "application/vnd.kubernetes.protobuf")];
    let (code, status) = fixture.call("POST", DEPLOYMENTS, &protobuf, "k8s").await;
    assert_eq!(code, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(status["message"].as_str().unwrap().contains("kubectl apply"), "{status}");
    let accept = [("accept", "application/cbor")];
    assert_eq!(fixture.call("GET", DEPLOYMENTS, &accept, "").await.0, StatusCode::NOT_ACCEPTABLE);
    let large = " ".repeat(crate::api_server::body::MAX_BODY_BYTES + 1);
    assert_eq!(fixture.call("POST", DEPLOYMENTS, &[], &large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let mut big = json!({ "metadata": { "name": "big" } });
    big["data"] = json!({ "k": "x".repeat(store::MAX_VALUE_BYTES) });
    let (code, _) = fixture.post("/api/v1/namespaces/default/configmaps", &big).await;
    assert_eq!(code, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn nothing_but_health_is_told_without_the_token() {
    let fixture = Fixture::new().await;
    let ask = async |path: &str, authorization: &str| {
        let request = Request::get(path).header(header::AUTHORIZATION, authorization).body(Body::empty()).unwrap();
        fixture.router.clone().oneshot(request).await.unwrap().status()
    };
    for path in ["/api", "/version", DEPLOYMENTS, "/nowhere"] {
        assert_eq!(ask(path, "Bearer wrong").await, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(ask(path, "").await, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(ask("/readyz", "").await, StatusCode::OK);
}
