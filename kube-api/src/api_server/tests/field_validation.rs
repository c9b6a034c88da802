use super::*;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JSON_TWICE: &str =
    r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"NAME"},"data":{"a":"1","a":"2"}}"#;
const YAML_TWICE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata:\n  a: '1'\n  a: '2'\n";

/// Sends a body; answers the code, the warnings and the object.
async fn send(fixture: &Fixture, method: &str, path: &str, kind: &str, body: &str) -> (u16, Vec<String>, Value) {
    let response = fixture.response(method, path, &[("content-type", kind)], body).await;
    let warnings = response.headers().get_all(header::WARNING).iter().map(|value| value.to_str().unwrap().to_owned());
    let (code, warnings) = (response.status().as_u16(), warnings.collect());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (code, warnings, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn a_key_given_twice_is_refused_warned_of_or_taken_as_the_writer_asks() {
    let fixture = Fixture::new().await;
    for (name, kind, body) in [("j", "application/json", JSON_TWICE), ("y", "application/yaml", YAML_TWICE)] {
        let body = |mode: &str| body.replace("NAME", &format!("{name}-{}", mode.to_lowercase()));
        let path = |mode: &str| format!("{CONFIG_MAPS}?fieldValidation={mode}");
        let (code, _, status) = send(&fixture, "POST", &path("Strict"), kind, &body("Strict")).await;
        assert_eq!((code, status["reason"].as_str()), (400, Some("BadRequest")), "{status}");
        assert_eq!(status["message"], "strict decoding error: duplicate field \"data.a\"");
        for mode in ["Warn", ""] {
            let (code, warnings, object) = send(&fixture, "POST", &path(mode), kind, &body(&format!("w{mode}"))).await;
            assert_eq!((code, object["data"]["a"].as_str()), (201, Some("2")), "{object}");
            assert_eq!(warnings, ["299 - \"duplicate field \\\"data.a\\\"\""]);
        }
        let (code, warnings, _) = send(&fixture, "POST", &path("Ignore"), kind, &body("Ignore")).await;
        assert_eq!((code, warnings.len()), (201, 0));
        assert_eq!(send(&fixture, "POST", &path("Loose"), kind, &body("Loose")).await.0, 400);
    }
}

#[tokio::test]
async fn a_field_that_a_kind_does_not_have_is_refused_or_left_out_as_the_writer_asks() {
    let fixture = Fixture::new().await;
    let wrong = |name: &str| {
        let mut object = deployment(name);
        object["spec"]["replcas"] = json!(3);
        object["spec"]["template"]["spec"]["containers"][0]["zzz"] = json!({ "a": 1 });
        object.to_string()
    };
    let path = |mode: &str| format!("{DEPLOYMENTS}?fieldValidation={mode}");
    let (code, _, status) = send(&fixture, "POST", &path("Strict"), "application/json", &wrong("a")).await;
    assert_eq!(code, 400);
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("unknown field \"spec.replcas\" (did you mean `replicas`?)"), "{message}");
    assert!(message.contains("unknown field \"spec.template.spec.containers[0].zzz\""), "{message}");
    assert_eq!(status["details"]["causes"][0]["field"], "spec.replcas");
    let (code, warnings, object) = send(&fixture, "POST", DEPLOYMENTS, "application/json", &wrong("b")).await;
    assert_eq!((code, warnings.len()), (201, 2), "{object}");
    assert!(
        object["spec"]["replcas"].is_null() && object["spec"]["template"]["spec"]["containers"][0]["zzz"].is_null()
    );
    let (code, warnings, _) = send(&fixture, "POST", &path("Ignore"), "application/json", &wrong("c")).await;
    assert_eq!((code, warnings.len()), (201, 0));
}

#[tokio::test]
async fn patches_are_read_as_strictly_as_objects() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("a")).await;
    let twice = r#"{"spec":{"replicas":2,"replicas":3}}"#;
    let unknown = r#"{"spec":{"replcas":2}}"#;
    let path = |mode: &str| format!("{DEPLOYMENTS}/a?fieldManager=x&fieldValidation={mode}");
    for kind in ["merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml"] {
        let kind = &*format!("application/{kind}");
        let (code, _, status) = send(&fixture, "PATCH", &path("Strict"), kind, twice).await;
        assert_eq!(code, 400, "{kind}: {status}");
        assert!(status["message"].as_str().unwrap().contains("duplicate field \"spec.replicas\""), "{status}");
        let (code, _, status) = send(&fixture, "PATCH", &path("Strict"), kind, unknown).await;
        assert_eq!(code, 400, "{kind}: {status}");
        let (code, warnings, object) = send(&fixture, "PATCH", &path("Warn"), kind, twice).await;
        assert_eq!((code, object["spec"]["replicas"].as_u64()), (200, Some(3)), "{kind}: {object}");
        assert!(warnings.iter().any(|warning| warning.contains("duplicate field")), "{warnings:?}");
        let (code, warnings, object) = send(&fixture, "PATCH", &path("Warn"), kind, unknown).await;
        assert_eq!((code, &object["spec"]["replcas"]), (200, &Value::Null), "{kind}");
        assert!(warnings.iter().any(|warning| warning.contains("unknown field \\\"spec.replcas\\\"")), "{warnings:?}");
    }
    let json_patch = r#"[{"op":"test","op":"replace","path":"/spec/replicas","value":5}]"#;
    let kind = "application/json-patch+json";
    assert_eq!(send(&fixture, "PATCH", &path("Strict"), kind, json_patch).await.0, 400);
    assert_eq!(send(&fixture, "PATCH", &path("Ignore"), kind, json_patch).await.2["spec"]["replicas"], 5);
}

#[tokio::test]
async fn what_is_applied_at_the_servers_side_is_read_as_kubectl_reads_yaml() {
    let fixture = Fixture::new().await;
    let path = format!("{CONFIG_MAPS}/a?fieldManager=x");
    let body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nbase: &b {v: '1'}\ndata: {<<: *b, w: '2'}\n";
    let (code, _, object) = send(&fixture, "PATCH", &path, "application/apply-patch+yaml", body).await;
    assert_eq!((code, &object["data"]), (201, &json!({ "v": "1", "w": "2" })), "{object}");
}

#[tokio::test]
async fn a_body_in_yaml_is_read_as_kubectl_reads_it() {
    let fixture = Fixture::new().await;
    let body =
        "\u{feff}---\r\napiVersion: v1\r\nkind: ConfigMap\r\nmetadata: {name: a}\r\ndata: {a: b}\r\n---\r\n# end\r\n";
    let (code, _, object) = send(&fixture, "POST", CONFIG_MAPS, "application/yaml", body).await;
    assert_eq!((code, object["data"]["a"].as_str()), (201, Some("b")), "{object}");
    let two = "a: 1\n---\nb: 2\n";
    assert_eq!(send(&fixture, "POST", CONFIG_MAPS, "application/yaml", two).await.0, 400);
}
