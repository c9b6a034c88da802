use super::*;

#[tokio::test]
async fn every_kind_is_discovered_with_its_verbs_and_short_names() {
    let fixture = Fixture::new().await;
    let (_, groups) = fixture.get("/apis").await;
    let names: Vec<_> =
        groups["groups"].as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "apiextensions.k8s.io",
            "apps",
            "authentication.k8s.io",
            "authorization.k8s.io",
            "autoscaling",
            "batch",
            "coordination.k8s.io",
            "discovery.k8s.io",
            "events.k8s.io",
            "networking.k8s.io",
            "policy",
            "rbac.authorization.k8s.io",
            "scheduling.k8s.io",
            "storage.k8s.io"
        ]
    );
    let (_, apps) = fixture.get("/apis/apps/v1").await;
    let resources = apps["resources"].as_array().unwrap();
    let deployments = resources.iter().find(|resource| resource["name"] == "deployments").unwrap();
    assert_eq!(deployments["shortNames"], json!(["deploy"]));
    assert!(resources.iter().any(|resource| resource["name"] == "deployments/scale" && resource["kind"] == "Scale"));
    assert_eq!(fixture.get("/apis/apps").await.1["preferredVersion"]["groupVersion"], "apps/v1");
    assert_eq!(fixture.get("/apis/apps/v2").await.0, StatusCode::NOT_FOUND);
    assert_eq!(fixture.get("/api").await.1["versions"], json!(["v1"]));
}

#[tokio::test]
async fn the_version_is_one_that_clients_understand() {
    let fixture = Fixture::new().await;
    let (_, version) = fixture.get("/version").await;
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1.35.0+sampan-"), "{version}");
}

#[tokio::test]
async fn openapi_says_what_each_kind_has_and_that_dry_runs_are_known() {
    let fixture = Fixture::new().await;
    let (_, index) = fixture.get("/openapi/v3").await;
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    let (_, of_apps) = fixture.get(url).await;
    let (code, of_all) = fixture.get("/openapi/v2").await;
    assert_eq!(code, StatusCode::OK);
    for document in [&of_apps, &of_all] {
        let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
        assert_eq!(patch["parameters"][0]["name"], "dryRun");
    }
    let spec = &of_all["definitions"]["io.k8s.api.apps.v1.DeploymentSpec"];
    assert_eq!(spec, &{
        let mut same = of_apps["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentSpec"].clone();
        // A reference that says more stands by itself in version 3.
        for (name, property) in same["properties"].as_object_mut().unwrap() {
            if let Some(of) = property.as_object_mut().unwrap().remove("allOf") {
                let name = of[0]["$ref"].as_str().unwrap_or_else(|| panic!("{name} refers to nothing"));
                property["$ref"] = json!(name.replace("components/schemas", "definitions"));
            }
        }
        same
    });
    assert_eq!(fixture.get("/openapi/v3/apis/none/v1").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn all_groups_and_kinds_are_told_in_two_answers_to_who_can_read_that() {
    let fixture = Fixture::new().await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
        application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    let told = async |path: &str, accept: &str| {
        let response = fixture.response("GET", path, &[("accept", accept)], "").await;
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (kind, serde_json::from_slice::<Value>(&bytes).unwrap())
    };
    let (kind, core) = told("/api", accept).await;
    assert_eq!(kind, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let pods = core["items"][0]["versions"][0]["resources"].as_array().unwrap();
    let pods = pods.iter().find(|resource| resource["resource"] == "pods").unwrap();
    assert_eq!((&pods["responseKind"]["kind"], &pods["scope"]), (&json!("Pod"), &json!("Namespaced")));
    assert!(pods["subresources"].as_array().unwrap().iter().any(|below| below["subresource"] == "eviction"
        && below["responseKind"] == json!({ "group": "policy", "version": "v1", "kind": "Eviction" })));
    let (_, named) = told("/apis", accept).await;
    let (_, plain) = told("/apis", "application/json").await;
    let names = |list: &Value, at: &str| {
        list.as_array().unwrap().iter().map(|group| group.pointer(at).cloned().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(&named["items"], "/metadata/name"), names(&plain["groups"], "/name"));
    assert_eq!(told("/apis", "application/json,*/*").await.1["kind"], "APIGroupList");
}
