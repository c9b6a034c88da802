use serde_json::{Value, json};

use super::*;
use crate::schema::served;

const INFO: Info = Info { title: "Test", version: "1" };

fn deployments() -> ServedKind {
    ServedKind {
        gvk: Gvk::of("apps/v1", "Deployment"),
        plural: "deployments",
        namespaced: true,
        verbs: &["create", "delete", "get", "list", "patch"],
        below: vec![("scale", Gvk::of("autoscaling/v1", "Scale"), &["get"])],
    }
}

#[test]
fn a_document_has_every_schema_that_one_of_it_refers_to() {
    for (document, definitions, prefix) in [
        (v2(served(), &[deployments()], INFO), "/definitions", "#/definitions/"),
        (v3(served(), &[deployments()], INFO), "/components/schemas", "#/components/schemas/"),
    ] {
        let known = document.pointer(definitions).expect("it has schemas");
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 100);
        for reference in references {
            let name = reference.strip_prefix(prefix).expect("it refers to its own schemas");
            assert!(known.get(name).is_some(), "{name} is not there");
        }
    }
}

fn collect<'v>(value: &'v Value, into: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| collect(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
        _ => {}
    }
}

#[test]
fn fields_say_how_they_are_merged_and_what_is_done_with_them() {
    let document = v3(served(), &[deployments()], INFO);
    let schemas = &document["components"]["schemas"];
    let ports = &schemas["io.k8s.api.core.v1.Container"]["properties"]["ports"];
    assert_eq!(ports["x-kubernetes-list-map-keys"], json!(["containerPort", "protocol"]));
    assert_eq!(ports["x-kubernetes-patch-merge-key"], "containerPort");
    let spec = &schemas["io.k8s.api.apps.v1.DeploymentSpec"];
    assert_eq!(spec["required"], json!(["selector", "template"]));
    assert_eq!(spec["properties"]["strategy"]["x-kubernetes-patch-strategy"], "retainKeys");
    assert_eq!(spec["properties"]["selector"]["x-kubernetes-map-type"], "atomic");
    let working = &schemas["io.k8s.api.core.v1.Container"]["properties"]["workingDir"]["description"];
    assert_eq!(working, "The folder that it starts in. Sampan refuses it.");
}

#[test]
fn paths_say_of_which_kind_they_are_and_that_dry_runs_are_known() {
    let document = v2(served(), &[deployments()], INFO);
    let object = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    let kind = json!({ "group": "apps", "version": "v1", "kind": "Deployment" });
    assert_eq!(object["patch"]["x-kubernetes-group-version-kind"], kind);
    assert_eq!(object["patch"]["parameters"][0]["name"], "dryRun");
    assert!(object.get("put").is_none());
    let scale = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"];
    assert_eq!(scale["get"]["x-kubernetes-group-version-kind"]["kind"], "Scale");
}

#[test]
fn in_protobuf_a_document_says_what_it_says_in_json() {
    let document = v2(served(), &[deployments()], INFO);
    let bytes = to_protobuf(&document);
    let find = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(bytes.starts_with(&[0x0a, 3, b'2', b'.', b'0']));
    assert!(find("io.k8s.api.apps.v1.DeploymentSpec") && find("x-kubernetes-patch-merge-key") && find("dryRun"));
}
