use super::*;

fn columns(table: &Value) -> Vec<(String, i64)> {
    let columns = table["columnDefinitions"].as_array().expect("a table").iter();
    columns.map(|c| (c["name"].as_str().unwrap().to_owned(), c["priority"].as_i64().unwrap())).collect()
}

fn cells(table: &Value) -> Vec<String> {
    let cells = table["rows"][0]["cells"].as_array().expect("a row").iter();
    cells.map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)).collect()
}

#[tokio::test]
async fn deployments_have_kubernetes_columns() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    let status = json!({ "status": { "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1 } });
    fixture.patch(&format!("{DEPLOYMENTS}/cart/status"), "merge-patch+json", &status).await;
    let table = fixture.table(DEPLOYMENTS).await;
    let names: Vec<_> = columns(&table).into_iter().filter(|(_, p)| *p == 0).map(|(name, _)| name).collect();
    assert_eq!(names, ["Name", "Ready", "Up-to-date", "Available", "Age"]);
    let cells = cells(&table);
    assert_eq!(cells[..4], ["cart", "1/1", "1", "1"]);
    assert_eq!(cells[5..], ["c", "hello:v1", "app=cart"]);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let whole = fixture.table(&format!("{DEPLOYMENTS}?includeObject=Object")).await;
    assert_eq!(whole["rows"][0]["object"]["kind"], "Deployment");
}

#[tokio::test]
async fn pods_show_readiness_status_restarts_and_node() {
    let fixture = Fixture::new().await;
    fixture.put_pod("p", "Running");
    let cells_now = cells(&fixture.table("/api/v1/namespaces/default/pods").await);
    assert_eq!(cells_now[..4], ["p", "1/1", "Running", "2"]);
    assert_eq!(cells_now[5..7], ["<none>", "worker-1"]);
    let waiting = json!({ "metadata": { "name": "p", "namespace": "default" }, "spec": { "containers": [ {} ] },
        "status": { "phase": "Pending", "containerStatuses": [ { "state": { "waiting": { "reason": "ImagePullBackOff" } } } ] } });
    fixture.live.put("core/pods/default/p".to_owned(), waiting.to_string().into());
    assert_eq!(cells(&fixture.table("/api/v1/pods").await)[1..3], ["0/1", "ImagePullBackOff"]);
}

#[tokio::test]
async fn services_show_type_and_ports() {
    let fixture = Fixture::new().await;
    let path = "/api/v1/namespaces/default/services";
    let service = json!({ "metadata": { "name": "s" }, "spec": { "type": "LoadBalancer", "selector": { "app": "a" },
        "ports": [ { "port": 80, "name": "a" }, { "port": 81, "name": "b" } ] } });
    let created = fixture.create(path, &service).await;
    let ip = created["spec"]["clusterIP"].as_str().unwrap();
    assert_eq!(cells(&fixture.table(path).await)[..5], ["s", "LoadBalancer", ip, "<pending>", "80/TCP,81/TCP"]);
}

#[tokio::test]
async fn every_kind_can_be_listed_as_a_table() {
    let fixture = Fixture::new().await;
    for resource in crate::resources::ALL.iter().filter(|resource| resource.verbs().contains(&"list")) {
        let root = if resource.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", resource.group) };
        let table = fixture.table(&format!("{root}/{}/{}", resource.version, resource.plural)).await;
        assert_eq!(table["kind"], "Table", "{}", resource.kind);
        assert!(!columns(&table).is_empty());
    }
    let namespaces = fixture.table("/api/v1/namespaces").await;
    assert_eq!(cells(&namespaces)[..2], ["default", "Active"]);
}
