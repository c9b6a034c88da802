//! Kinds of Kubernetes that have no objects here.

use super::*;

#[tokio::test]
async fn of_kinds_that_are_absent_there_is_none_and_who_writes_one_is_told_what_to_do_instead() {
    let fixture = Fixture::new().await;
    let cases = [
        ("/apis/apps/v1/namespaces/default/statefulsets", "wasi:keyvalue"),
        ("/apis/apps/v1/namespaces/default/daemonsets", "Deployment"),
        ("/apis/apps/v1/namespaces/default/controllerrevisions", "rollout history"),
        ("/apis/batch/v1/namespaces/default/jobs", "scaled to zero"),
        ("/apis/batch/v1/namespaces/default/cronjobs", "scaled to zero"),
        ("/api/v1/namespaces/default/persistentvolumeclaims", "no file system"),
        ("/api/v1/persistentvolumes", "no file system"),
        ("/apis/storage.k8s.io/v1/storageclasses", "no file system"),
        ("/api/v1/namespaces/default/resourcequotas", "pod template"),
        ("/api/v1/namespaces/default/limitranges", "pod template"),
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "operator"),
        ("/api/v1/namespaces/default/replicationcontrollers", "Deployment"),
    ];
    for (path, instead) in cases {
        let (code, list) = fixture.get(path).await;
        assert_eq!((code, &list["items"]), (StatusCode::OK, &json!([])), "{path}");
        let (code, status) = fixture.post(path, &json!({ "metadata": { "name": "a" } })).await;
        assert_eq!(code, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert!(status["message"].as_str().unwrap().contains(instead), "{status}");
        let (code, _) = fixture.call("DELETE", &format!("{path}/a"), &[], "").await;
        assert_eq!(code, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(fixture.call("DELETE", path, &[], "").await.0, StatusCode::OK, "{path}");
    }
    // Also one whose body would not be read: what it says does not matter.
    let protobuf = [("content-type", "application/vnd.kubernetes.protobuf")];
    let (code, _) = fixture.call("POST", "/apis/batch/v1/namespaces/default/jobs", &protobuf, "k8s").await;
    assert_eq!(code, StatusCode::METHOD_NOT_ALLOWED);
}
