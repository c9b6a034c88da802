use super::*;

const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";

fn class(name: &str, value: i64) -> Value {
    json!({ "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": { "name": name }, "value": value })
}

fn of_class(name: &str, class: &str) -> Value {
    let mut object = deployment(name);
    object["spec"]["template"]["spec"]["priorityClassName"] = json!(class);
    object
}

/// What is said of an object that is refused.
async fn refused(fixture: &Fixture, path: &str, object: &Value) -> String {
    let (code, said) = fixture.post(path, object).await;
    assert!(code.is_client_error(), "{said}");
    said["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_priority_class_is_shown_as_kubernetes_shows_it() {
    let fixture = Fixture::new().await;
    let mut high = class("high", 1000);
    high["globalDefault"] = json!(true);
    let created = fixture.create(CLASSES, &high).await;
    assert_eq!(created["preemptionPolicy"], "PreemptLowerPriority");
    let table = fixture.table(CLASSES).await;
    let columns: Vec<_> = table["columnDefinitions"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(columns, ["Name", "Value", "Global-Default", "Age", "PreemptionPolicy"]);
    let cells = &table["rows"][0]["cells"];
    assert_eq!((&cells[0], &cells[1], &cells[2]), (&json!("high"), &json!(1000), &json!(true)));
    assert_eq!(cells[4], "PreemptLowerPriority");
}

#[tokio::test]
async fn what_kubernetes_refuses_of_a_priority_class_is_refused() {
    let fixture = Fixture::new().await;
    let with = |mut object: Value, field: &str, value: Value| {
        object[field] = value;
        object
    };
    let cases = [
        (class("high", 1_000_000_001), "value: 1000000001 is above 1000000000"),
        (class("system-mine", 5), "metadata.name: names that begin with `system-`"),
        (class("system-node-critical", 5), "metadata.name: names that begin with `system-`"),
        (with(class("high", 1), "preemptionPolicy", json!("Always")), "preemptionPolicy: `Always` is not known"),
    ];
    for (object, expected) in cases {
        let said = refused(&fixture, CLASSES, &object).await;
        assert!(said.contains(expected), "{expected}: {said}");
    }
    fixture.create(CLASSES, &class("high", 5)).await;
    for patch in [json!({ "value": 6 }), json!({ "preemptionPolicy": "Never" })] {
        let (code, said) = fixture.patch(&format!("{CLASSES}/high"), "merge-patch+json", &patch).await;
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(said["message"].as_str().unwrap().contains("cannot be changed"), "{said}");
    }
    let (code, _) = fixture.patch(&format!("{CLASSES}/high"), "merge-patch+json", &json!({ "description": "x" })).await;
    assert_eq!(code, StatusCode::OK);
}

#[tokio::test]
async fn only_one_class_is_the_default() {
    let fixture = Fixture::new().await;
    let default = |name: &str| {
        let mut object = class(name, 5);
        object["globalDefault"] = json!(true);
        object
    };
    fixture.create(CLASSES, &default("first")).await;
    let said = refused(&fixture, CLASSES, &default("second")).await;
    assert!(said.contains("PriorityClass first is already marked as default"), "{said}");
    let off = json!({ "globalDefault": false });
    assert_eq!(fixture.patch(&format!("{CLASSES}/first"), "merge-patch+json", &off).await.0, StatusCode::OK);
    fixture.create(CLASSES, &default("second")).await;
}

#[tokio::test]
async fn a_class_of_the_system_cannot_be_deleted() {
    let fixture = Fixture::new().await;
    fixture.create(CLASSES, &class("system-node-critical", 2_000_001_000)).await;
    fixture.create(CLASSES, &class("mine", 1)).await;
    let (code, said) = fixture.call("DELETE", &format!("{CLASSES}/system-node-critical"), &[], "").await;
    assert_eq!(code, StatusCode::FORBIDDEN);
    assert!(said["message"].as_str().unwrap().contains("system priority class"), "{said}");
    assert_eq!(fixture.call("DELETE", CLASSES, &[], "").await.0, StatusCode::OK);
    let (_, left) = fixture.get(CLASSES).await;
    assert_eq!(left["items"].as_array().unwrap().len(), 1, "all that may be deleted are");
}

#[tokio::test]
async fn a_deployment_that_names_an_unknown_class_is_refused_and_told_where_they_are() {
    let fixture = Fixture::new().await;
    let (code, said) = fixture.post(DEPLOYMENTS, &of_class("cart", "high")).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(said["details"]["causes"][0]["field"], "spec.template.spec.priorityClassName");
    let message = said["message"].as_str().unwrap();
    assert!(message.contains("no PriorityClass with name high was found"), "{said}");
    assert!(message.contains("kubectl get priorityclasses"), "{said}");
    fixture.create(CLASSES, &class("high", 1000)).await;
    fixture.create(DEPLOYMENTS, &of_class("cart", "high")).await;
    let path = format!("{DEPLOYMENTS}/cart");
    assert_eq!(fixture.call("DELETE", &format!("{CLASSES}/high"), &[], "").await.0, StatusCode::OK);
    let scale = json!({ "spec": { "replicas": 3 } });
    assert_eq!(fixture.patch(&path, "merge-patch+json", &scale).await.0, StatusCode::OK, "it was right");
    let template = json!({ "spec": { "template": { "metadata": { "labels": { "new": "yes" } } } } });
    assert_eq!(fixture.patch(&path, "merge-patch+json", &template).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_priority_that_is_written_without_a_class_is_refused_with_the_way_out() {
    let fixture = Fixture::new().await;
    let mut object = deployment("cart");
    object["spec"]["template"]["spec"]["priority"] = json!(5);
    let said = refused(&fixture, DEPLOYMENTS, &object).await;
    assert!(said.contains("spec.template.spec.priority") && said.contains("priorityClassName"), "{said}");
}
