//! Pods that users make, as tests of charts do.

use super::*;

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod(name: &str, args: &[&str]) -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "annotations": { "helm.sh/hook": "test" } },
        "spec": { "restartPolicy": "Never",
            "containers": [ { "name": "wget", "image": "busybox", "command": ["wget"], "args": args } ] } })
}

/// The Pod once it is done.
async fn done(fixture: &Fixture, name: &str) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (_, pod) = fixture.get(&format!("{PODS}/{name}")).await;
        if pod["status"]["phase"] != "Pending" {
            return pod;
        }
        assert!(tokio::time::Instant::now() < deadline, "it is never done: {pod}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_pod_that_asks_a_service_succeeds_with_the_answer_in_its_log() {
    let fixture = Fixture::new().await;
    let json = [("content-type", "application/json")];
    let response = fixture.response("POST", PODS, &json, &pod("ask", &["-qO-", "hello:80"]).to_string()).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let warning = response.headers()[header::WARNING].to_str().unwrap();
    assert!(warning.contains("nothing of this Pod's image runs"), "{warning}");
    let pod = done(&fixture, "ask").await;
    assert_eq!(
        (&pod["status"]["phase"], &pod["spec"]["containers"][0]["image"]),
        (&json!("Succeeded"), &json!("busybox"))
    );
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
    let (_, log) = fixture.get(&format!("{PODS}/ask/log")).await;
    assert_eq!(log, "hello, tester\nGET http://hello:80/: the answer is 200\n");
    assert_eq!(fixture.table(PODS).await["rows"][0]["cells"][2], "Completed");
    assert_eq!(fixture.call("DELETE", &format!("{PODS}/ask"), &[], "").await.0, StatusCode::OK);
    assert_eq!(fixture.get(&format!("{PODS}/ask")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(*fixture.commands.said.lock(), Vec::<String>::new());
}

#[tokio::test]
async fn a_pod_that_gets_no_good_answer_fails_and_says_why() {
    let fixture = Fixture::new().await;
    for (name, url, word) in
        [("status", "hello/none", "404"), ("host", "nobody", "not the name of a Service"), ("port", "hello:81", "port")]
    {
        fixture.create(PODS, &pod(name, &[url])).await;
        let pod = done(&fixture, name).await;
        let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        assert_eq!((&pod["status"]["phase"], &ended["exitCode"]), (&json!("Failed"), &json!(1)), "{name}");
        assert!(ended["message"].as_str().unwrap().contains(word), "{ended}");
    }
}

#[tokio::test]
async fn a_pod_is_made_by_an_apply_patch_too_and_is_not_changed_by_one() {
    let fixture = Fixture::new().await;
    let apply = [("content-type", "application/apply-patch+yaml")];
    let path = format!("{PODS}/ask?fieldManager=helm");
    let body = pod("ask", &["hello"]).to_string();
    assert_eq!(fixture.call("PATCH", &path, &apply, &body).await.0, StatusCode::CREATED);
    assert_eq!(done(&fixture, "ask").await["status"]["phase"], "Succeeded");
    assert_eq!(fixture.call("PATCH", &path, &apply, &body).await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(fixture.post(PODS, &pod("ask", &["hello"])).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_pod_that_would_run_something_is_refused_with_what_it_can_be() {
    let fixture = Fixture::new().await;
    let serve =
        json!({ "metadata": { "name": "a" }, "spec": { "containers": [ { "name": "c", "image": "hello:v1" } ] } });
    let (code, status) = fixture.post(PODS, &serve).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(status["message"].as_str().unwrap().contains("what is to serve is a Deployment"), "{status}");
    let mut shell = pod("a", &[]);
    shell["spec"]["containers"][0]["command"] = json!(["sh", "-c", "true"]);
    assert_eq!(fixture.post(PODS, &shell).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let mut again = pod("a", &["hello"]);
    again["spec"]["restartPolicy"] = json!("Always");
    assert_eq!(fixture.post(PODS, &again).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(fixture.get(PODS).await.1["items"], json!([]));
}

#[tokio::test]
async fn pods_of_users_go_with_their_namespace() {
    let fixture = Fixture::new().await;
    fixture.create("/api/v1/namespaces", &json!({ "metadata": { "name": "shop" } })).await;
    let pods = "/api/v1/namespaces/shop/pods";
    fixture.create(pods, &pod("ask", &["hello"])).await;
    assert_eq!(fixture.call("DELETE", "/api/v1/namespaces/shop", &[], "").await.0, StatusCode::OK);
    assert_eq!(fixture.get(pods).await.1["items"], json!([]));
}
