//! Finalizers of users: an object stays until they are taken away.

use super::*;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn held(name: &str) -> Value {
    json!({ "metadata": { "name": name, "finalizers": ["example.com/hold"] }, "data": { "a": "b" } })
}

#[tokio::test]
async fn an_object_with_a_finalizer_stays_marked_until_it_is_taken_away() {
    let fixture = Fixture::new().await;
    let path = format!("{CONFIG_MAPS}/a");
    for options in [json!({}), json!({ "propagationPolicy": "Background" })] {
        let created = fixture.create(CONFIG_MAPS, &held("a")).await;
        let (code, answer) = fixture.call("DELETE", &path, &[], &options.to_string()).await;
        assert_eq!((code, &answer["kind"]), (StatusCode::OK, &json!("ConfigMap")), "{answer}");
        assert!(answer["metadata"]["deletionTimestamp"].is_string(), "{answer}");
        let (_, marked) = fixture.get(&path).await;
        assert_eq!((&marked["metadata"]["uid"], &marked), (&created["metadata"]["uid"], &answer));
        // A second deletion changes nothing, and others may be changed meanwhile, but not who holds it.
        assert_eq!(fixture.call("DELETE", &path, &[], "").await.1, marked);
        let patched = fixture.patch(&path, "merge-patch+json", &json!({ "data": { "a": "c" } })).await;
        assert_eq!((patched.0, &patched.1["data"]["a"]), (StatusCode::OK, &json!("c")));
        let more = json!({ "metadata": { "finalizers": ["example.com/hold", "example.com/more"] } });
        assert_eq!(fixture.patch(&path, "merge-patch+json", &more).await.0, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(fixture.post(CONFIG_MAPS, &held("a")).await.0, StatusCode::CONFLICT);
        let none = json!({ "metadata": { "finalizers": null } });
        assert_eq!(fixture.patch(&path, "merge-patch+json", &none).await.0, StatusCode::OK);
        assert_eq!(fixture.get(&path).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_finalizer_that_is_taken_away_in_any_way_lets_go() {
    let fixture = Fixture::new().await;
    let path = format!("{CONFIG_MAPS}/a");
    let delete = async || {
        fixture.create(CONFIG_MAPS, &held("a")).await;
        fixture.call("DELETE", &path, &[], "").await.1
    };
    delete().await;
    let removal = json!([ { "op": "remove", "path": "/metadata/finalizers/0" } ]);
    assert_eq!(fixture.patch(&path, "json-patch+json", &removal).await.0, StatusCode::OK);
    assert_eq!(fixture.get(&path).await.0, StatusCode::NOT_FOUND);
    delete().await;
    let directive = json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["example.com/hold"] } });
    assert_eq!(fixture.patch(&path, "strategic-merge-patch+json", &directive).await.0, StatusCode::OK);
    assert_eq!(fixture.get(&path).await.0, StatusCode::NOT_FOUND);
    let mut marked = delete().await;
    marked["metadata"]["finalizers"] = json!([]);
    assert_eq!(fixture.call("PUT", &path, &[], &marked.to_string()).await.0, StatusCode::OK);
    assert_eq!(fixture.get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_namespace_stays_until_nothing_in_it_is_held() {
    let fixture = Fixture::new().await;
    fixture.create("/api/v1/namespaces", &json!({ "metadata": { "name": "shop" } })).await;
    let inside = "/api/v1/namespaces/shop/configmaps";
    fixture.create(inside, &held("a")).await;
    fixture.create(inside, &json!({ "metadata": { "name": "b" } })).await;
    let (code, answer) = fixture.call("DELETE", "/api/v1/namespaces/shop", &[], "").await;
    assert_eq!((code, &answer["status"]["phase"]), (StatusCode::OK, &json!("Terminating")), "{answer}");
    assert_eq!(fixture.get(&format!("{inside}/b")).await.0, StatusCode::NOT_FOUND);
    assert!(fixture.get(&format!("{inside}/a")).await.1["metadata"]["deletionTimestamp"].is_string());
    let label = json!({ "metadata": { "labels": { "a": "b" } } });
    let labelled = fixture.patch("/api/v1/namespaces/shop", "merge-patch+json", &label).await;
    assert_eq!(labelled.0, StatusCode::OK);
    assert_eq!(fixture.get("/api/v1/namespaces/shop").await.0, StatusCode::OK, "it still holds something");
    let none = json!({ "metadata": { "finalizers": null } });
    assert_eq!(fixture.patch(&format!("{inside}/a"), "merge-patch+json", &none).await.0, StatusCode::OK);
    assert_eq!(fixture.call("DELETE", "/api/v1/namespaces/shop", &[], "").await.0, StatusCode::OK);
    assert_eq!(fixture.get("/api/v1/namespaces/shop").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_collection_is_deleted_as_far_as_nothing_is_held() {
    let fixture = Fixture::new().await;
    fixture.create(CONFIG_MAPS, &held("a")).await;
    fixture.create(CONFIG_MAPS, &json!({ "metadata": { "name": "b" } })).await;
    assert_eq!(fixture.call("DELETE", CONFIG_MAPS, &[], "").await.0, StatusCode::OK);
    let (_, left) = fixture.get(CONFIG_MAPS).await;
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));
    assert!(left["items"][0]["metadata"]["deletionTimestamp"].is_string(), "{left}");
}

#[tokio::test]
async fn pods_are_left_by_a_replica_set_only_to_the_one_that_its_deployment_makes_in_its_place() {
    let fixture = Fixture::new().await;
    let deployment = fixture.create(DEPLOYMENTS, &deployment("a")).await;
    let revision = json!({ "metadata": { "annotations": { "deployment.kubernetes.io/revision": "2" } } });
    fixture.patch(&format!("{DEPLOYMENTS}/a"), "merge-patch+json", &revision).await;
    let sets = "/apis/apps/v1/namespaces/default/replicasets";
    let set = |name: &str, replicas: u64, number: &str, owned: bool| {
        let owner = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "a", "controller": true,
            "uid": deployment["metadata"]["uid"] });
        let mut object = json!({ "metadata": { "name": name, "annotations": { "deployment.kubernetes.io/revision": number },
            "ownerReferences": if owned { json!([owner]) } else { json!([]) } }, "spec": deployment["spec"] });
        object["spec"] = json!({ "replicas": replicas, "selector": deployment["spec"]["selector"],
            "template": deployment["spec"]["template"] });
        object
    };
    let cases = [
        (set("newest", 1, "2", true), true),
        (set("older", 1, "1", true), false),
        (set("empty", 0, "1", true), true),
        (set("own", 1, "2", false), false),
    ];
    for (object, goes) in cases {
        fixture.create(sets, &object).await;
        let name = object["metadata"]["name"].as_str().unwrap();
        let (code, answer) = fixture.call("DELETE", &format!("{sets}/{name}?propagationPolicy=Orphan"), &[], "").await;
        assert_eq!(code.is_success(), goes, "{name}: {answer}");
    }
    let marked = fixture.get(&format!("{sets}/newest")).await.1;
    assert_eq!(marked["metadata"]["finalizers"], json!(["orphan"]));
}

#[tokio::test]
async fn who_names_an_owner_that_is_not_there_is_told_what_becomes_of_the_object() {
    let fixture = Fixture::new().await;
    let configs = "/api/v1/namespaces/default/configmaps";
    let there = fixture.create(configs, &json!({ "metadata": { "name": "there" } })).await;
    let owner = |name: &str, uid: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid });
    let right = owner("there", there["metadata"]["uid"].as_str().unwrap());
    let cases = [
        (json!([right]), None),
        (json!([owner("there", "another")]), Some("deleted at once")),
        (json!([owner("gone", "x")]), Some("deleted at once")),
        (json!([right, owner("gone", "x")]), Some("no ConfigMap gone with this uid in namespace default")),
        (json!([{ "apiVersion": "a/v1", "kind": "A", "name": "b", "uid": "c" }]), Some("not served here")),
    ];
    let json = [("content-type", "application/json")];
    for (owners, said) in cases {
        let object = json!({ "metadata": { "generateName": "a-", "ownerReferences": owners } });
        let response = fixture.response("POST", configs, &json, &object.to_string()).await;
        let warning = response.headers().get(header::WARNING).map(|value| value.to_str().unwrap().to_owned());
        match said {
            None => assert_eq!(warning, None),
            Some(said) => assert!(warning.as_deref().unwrap_or_default().contains(said), "{owners}: {warning:?}"),
        }
    }
    let of_none = json!({ "metadata": { "name": "b", "ownerReferences": [right] } });
    let response = fixture.response("POST", "/api/v1/namespaces", &json, &of_none.to_string()).await;
    assert!(response.headers()[header::WARNING].to_str().unwrap().contains("this object in none"));
}
