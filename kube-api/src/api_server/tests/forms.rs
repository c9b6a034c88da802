//! In which forms answers come.

use super::*;

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    for (path, code) in
        [(DEPLOYMENTS, 200), ("/apis/apps/v1/namespaces/default/deployments/none", 404), ("/version", 200)]
    {
        let response = fixture.response("HEAD", path, &[], "").await;
        assert_eq!(response.status().as_u16(), code, "{path}");
        let length =
            response.headers().get(header::CONTENT_LENGTH).unwrap().to_str().unwrap().parse::<usize>().unwrap();
        assert!(length > 0, "{path}");
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn objects_lists_and_errors_are_answered_in_yaml_to_who_asks_for_it_first() {
    let fixture = Fixture::new().await;
    let configs = "/api/v1/namespaces/default/configmaps";
    let data = json!({ "a": "yes", "b": "1_000", "c": "two\nlines", "d": "2026-01-01", "e": "", "f": "- x: #1" });
    fixture.create(configs, &json!({ "metadata": { "name": "a" }, "data": data })).await;
    let yaml = async |path: &str, accept: &str| {
        let response = fixture.response("GET", path, &[("accept", accept)], "").await;
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&bytes).contains(": 2026-01-01"), "who takes it for a date has it in quotes");
        (kind, crate::notation::read_yaml(&bytes).unwrap().value)
    };
    let (kind, object) = yaml(&format!("{configs}/a"), "application/yaml").await;
    assert_eq!((kind.as_str(), &object["data"]), ("application/yaml", &data));
    let (kind, list) = yaml(configs, "application/yaml, application/json").await;
    assert_eq!((kind.as_str(), &list["items"][0]["data"]), ("application/yaml", &data));
    assert_eq!(yaml(&format!("{configs}/none"), "application/yaml").await.1["reason"], "NotFound");
    assert_eq!(yaml(configs, "application/json, application/yaml").await.0, "application/json");
}

#[tokio::test]
async fn protobuf_is_answered_to_who_asks_for_it_first_and_json_where_it_cannot_be() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    let protobuf = "application/vnd.kubernetes.protobuf";
    let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let cart = format!("{DEPLOYMENTS}/cart");
    for (path, accept, kind) in [
        (cart.as_str(), protobuf, "Deployment"),
        (DEPLOYMENTS, "application/vnd.kubernetes.protobuf,application/json", "DeploymentList"),
        (cart.as_str(), metadata, "PartialObjectMetadata"),
        ("/apis/apps/v1/namespaces/default/deployments/none", protobuf, "Status"),
    ] {
        let response = fixture.response("GET", path, &[("accept", accept)], "").await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], protobuf, "{path}");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(bytes.starts_with(b"k8s\0") && String::from_utf8_lossy(&bytes).contains(kind), "{path}");
    }
    let table =
        "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1, application/json;as=Table;g=meta.k8s.io;v=v1";
    let (_, object) = fixture.call("GET", &cart, &[("accept", table)], "").await;
    assert_eq!(object["kind"], "Table");
    let bytes = {
        let response = fixture.response("GET", &cart, &[("accept", protobuf)], "").await;
        response.into_body().collect().await.unwrap().to_bytes()
    };
    let sent = Request::put(&cart)
        .header(header::AUTHORIZATION, format!("Bearer {}", fixture.token.as_str()))
        .header(header::CONTENT_TYPE, protobuf)
        .body(Body::from(bytes))
        .unwrap();
    assert_eq!(
        fixture.router.clone().oneshot(sent).await.unwrap().status(),
        StatusCode::OK,
        "what was read can be written"
    );
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_takes_that_and_short_ones_are_not() {
    use std::io::Read;
    let fixture = Fixture::new().await;
    let configs = "/api/v1/namespaces/default/configmaps";
    for name in ["a", "b", "c"] {
        fixture.create(configs, &json!({ "metadata": { "name": name }, "data": { "k": "x".repeat(100_000) } })).await;
    }
    let gzip = [("accept-encoding", "gzip")];
    let response = fixture.response("GET", configs, &gzip, "").await;
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert!(bytes.len() < 10_000, "{}", bytes.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    for (path, headers) in [(configs, &[][..]), (&format!("{configs}/a"), &gzip), ("/version", &gzip)] {
        let response = fixture.response("GET", path, headers, "").await;
        assert_eq!(response.headers().get(header::CONTENT_ENCODING), None, "{path}");
    }
    let watch = fixture.response("GET", &format!("{configs}?watch=1&timeoutSeconds=1"), &gzip, "").await;
    assert_eq!(watch.headers().get(header::CONTENT_ENCODING), None, "a change is told at once");
}

#[tokio::test]
async fn what_is_below_objects_in_kubernetes_alone_is_refused_with_what_to_do_instead() {
    let fixture = Fixture::new().await;
    for (path, word) in [
        ("/api/v1/namespaces/default/pods/cart/exec?command=ls", "kubectl logs"),
        ("/api/v1/namespaces/default/pods/cart/portforward", "sampan port-forward"),
    ] {
        let (code, status) = fixture.call("POST", path, &[], "").await;
        assert_eq!(code, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert!(status["message"].as_str().unwrap().contains(word), "{status}");
    }
}

#[tokio::test]
async fn who_asks_what_he_may_do_is_answered() {
    let fixture = Fixture::new().await;
    let access = "/apis/authorization.k8s.io/v1";
    let asked = json!({ "spec": { "resourceAttributes": { "verb": "get", "resource": "pods" } } });
    let answered = fixture.create(&format!("{access}/selfsubjectaccessreviews"), &asked).await;
    assert_eq!((&answered["status"]["allowed"], &answered["spec"]), (&json!(true), &asked["spec"]));
    let rules =
        fixture.create(&format!("{access}/selfsubjectrulesreviews"), &json!({ "spec": { "namespace": "a" } })).await;
    assert_eq!(rules["status"]["resourceRules"][0]["verbs"], json!(["*"]));
    let of = async |group: &str| {
        let attributes = json!({ "verb": "get", "resource": "pods" });
        let asked = json!({ "spec": { "user": "anna", "groups": [group], "resourceAttributes": attributes } });
        fixture.create(&format!("{access}/subjectaccessreviews"), &asked).await["status"]["allowed"].clone()
    };
    assert_eq!((of("system:masters").await, of("team").await), (json!(true), json!(false)));
    let who = fixture.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})).await;
    assert_eq!(who["status"]["userInfo"]["groups"][0], "system:masters");
    let (code, _) = fixture.get(&format!("{access}/selfsubjectaccessreviews")).await;
    assert_eq!(code, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_service_is_asked_through_the_api_without_being_told_its_token() {
    let fixture = Fixture::new().await;
    let services = "/api/v1/namespaces/default/services";
    let spec = json!({ "selector": { "app": "a" }, "ports": [ { "port": 80, "name": "web" } ] });
    fixture.create(services, &json!({ "metadata": { "name": "hello" }, "spec": spec })).await;
    for asked in ["hello/proxy/", "hello:80/proxy/", "http:hello:web/proxy/?a=b"] {
        let response = fixture.response("GET", &format!("{services}/{asked}"), &[], "").await;
        assert_eq!(response.status(), StatusCode::OK, "{asked}");
        assert!(response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("sandbox"));
        assert!(!response.headers().contains_key("x-had-authorization"), "{asked}");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello, tester");
    }
    for (asked, code) in [("hello/proxy/none", 404), ("none/proxy/", 404), ("hello:81/proxy/", 400)] {
        assert_eq!(fixture.get(&format!("{services}/{asked}")).await.0.as_u16(), code, "{asked}");
    }
}
