//! Users and what they may do, as clients see it.

use base64::{Engine, prelude::BASE64_STANDARD};
use http_server::digest;

use super::*;
use crate::access::{TOKEN_TYPE, default_roles};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const TOKENS: &str = "/api/v1/namespaces/kube-system/secrets";

/// The default roles, and users with tokens that are their names.
pub(super) async fn fixture(users: &[(&str, &str)]) -> Fixture {
    let fixture = Fixture::new().await;
    for (key, object) in default_roles(now()) {
        fixture.durable.txn(Vec::new(), vec![store::Op::Put(key, object.to_string().into())]).await.unwrap();
    }
    fixture.create("/api/v1/namespaces", &json!({ "metadata": { "name": "kube-system" } })).await;
    for (name, groups) in users {
        fixture.create(TOKENS, &token_of(name, groups)).await;
    }
    fixture.know().await;
    fixture
}

fn token_of(name: &str, groups: &str) -> Value {
    let encode = |text: &str| json!(BASE64_STANDARD.encode(text));
    json!({ "metadata": { "name": format!("user-{name}") }, "type": TOKEN_TYPE,
        "data": { "user": encode(name), "groups": encode(groups), "sha256": encode(&hex::encode(digest(name))) } })
}

fn binding(role: &str, user: &str) -> Value {
    let (kind, name) = role.split_once('/').unwrap();
    json!({ "metadata": { "name": format!("{name}-{user}") }, "subjects": [{ "kind": "User", "name": user }],
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name } })
}

impl Fixture {
    /// Has the roles and tokens that are stored come into force.
    pub(super) async fn know(&self) {
        self.guard.roles.read(&*self.durable, &self.guard.users).await.unwrap();
    }

    pub(super) async fn bind(&self, namespace: &str, role: &str, user: &str) {
        self.create(&format!("{RBAC}/namespaces/{namespace}/rolebindings"), &binding(role, user)).await;
        self.know().await;
    }

    pub(super) async fn ask(
        &self,
        token: &str,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &Value,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        if !more.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let code = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

#[tokio::test]
async fn what_a_user_may_not_do_is_said_in_the_words_of_kubernetes() {
    let fixture = fixture(&[("ann", "")]).await;
    fixture.bind("default", "ClusterRole/view", "ann").await;
    let ask = async |method: &str, path: &str, body: Value| fixture.ask("ann", method, path, &[], &body).await;
    assert_eq!(ask("GET", DEPLOYMENTS, Value::Null).await.0, StatusCode::OK);
    for (method, path, message) in [
        (
            "POST",
            DEPLOYMENTS,
            "deployments.apps is forbidden: User \"ann\" cannot create resource \"deployments\" in API group \"apps\" in the namespace \"default\"",
        ),
        (
            "GET",
            "/api/v1/namespaces/kube-system/secrets/a",
            "secrets \"a\" is forbidden: User \"ann\" cannot get resource \"secrets\" in API group \"\" in the namespace \"kube-system\"",
        ),
        (
            "GET",
            "/api/v1/nodes",
            "nodes is forbidden: User \"ann\" cannot list resource \"nodes\" in API group \"\" at the cluster scope",
        ),
        ("GET", "/elsewhere", "forbidden: User \"ann\" cannot get path \"/elsewhere\""),
    ] {
        let body = if method == "POST" { deployment("a") } else { Value::Null };
        let (code, status) = ask(method, path, body).await;
        assert_eq!((code, status["message"].as_str()), (StatusCode::FORBIDDEN, Some(message)));
    }
    assert_eq!(fixture.ask("nobody", "GET", DEPLOYMENTS, &[], &Value::Null).await.0, StatusCode::UNAUTHORIZED);
    // Who may patch may not make what is not there.
    let patcher = json!({ "metadata": { "name": "patches" }, "rules": [{ "verbs": ["patch", "get"], "apiGroups": ["apps"], "resources": ["deployments"] }] });
    fixture.create(&format!("{RBAC}/namespaces/default/roles"), &patcher).await;
    fixture.bind("default", "Role/patches", "ann").await;
    let path = format!("{DEPLOYMENTS}/cart?fieldManager=a");
    let apply = async || {
        fixture
            .ask("ann", "PATCH", &path, &[("content-type", "application/apply-patch+yaml")], &deployment("cart"))
            .await
    };
    assert_eq!(apply().await.0, StatusCode::FORBIDDEN);
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    assert_eq!(apply().await.0, StatusCode::OK);
}

#[tokio::test]
async fn who_asks_what_they_may_do_is_told() {
    let fixture = fixture(&[("ann", "team")]).await;
    fixture.bind("default", "ClusterRole/view", "ann").await;
    let access = "/apis/authorization.k8s.io/v1";
    let can = async |verb: &str, resource: &str| {
        let spec = json!({ "resourceAttributes": { "verb": verb, "resource": resource, "namespace": "default" } });
        let (code, answer) = fixture
            .ask("ann", "POST", &format!("{access}/selfsubjectaccessreviews"), &[], &json!({ "spec": spec }))
            .await;
        assert_eq!(code, StatusCode::CREATED, "{answer}");
        answer["status"]["allowed"] == true
    };
    assert!(can("list", "pods").await && !can("create", "pods").await && !can("list", "secrets").await);
    let (_, who) =
        fixture.ask("ann", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", &[], &json!({})).await;
    assert_eq!(who["status"]["userInfo"]["username"], "ann");
    assert_eq!(who["status"]["userInfo"]["groups"], json!(["team", "system:authenticated"]));
    let asked = json!({ "spec": { "namespace": "default" } });
    let (_, rules) = fixture.ask("ann", "POST", &format!("{access}/selfsubjectrulesreviews"), &[], &asked).await;
    assert!(
        rules["status"]["resourceRules"]
            .as_array()
            .unwrap()
            .iter()
            .any(|rule| rule["resources"].as_array().unwrap().contains(&json!("pods/log")))
    );
    // Of others who may ask is told.
    let asked = json!({ "spec": { "user": "ann", "resourceAttributes": { "verb": "get", "resource": "pods", "namespace": "default" } } });
    let path = format!("{access}/subjectaccessreviews");
    assert_eq!(fixture.ask("ann", "POST", &path, &[], &asked).await.0, StatusCode::FORBIDDEN);
    assert_eq!(fixture.create(&path, &asked).await["status"]["allowed"], true);
}

#[tokio::test]
async fn who_may_ask_as_another_has_the_rights_of_the_other_alone() {
    let fixture = fixture(&[("ann", "")]).await;
    fixture.bind("default", "ClusterRole/view", "ann").await;
    let admin = fixture.token.as_str().to_owned();
    let as_ann = [("impersonate-user", "ann")];
    assert_eq!(fixture.ask(&admin, "GET", DEPLOYMENTS, &as_ann, &Value::Null).await.0, StatusCode::OK);
    assert_eq!(fixture.ask(&admin, "GET", "/api/v1/nodes", &as_ann, &Value::Null).await.0, StatusCode::FORBIDDEN);
    let in_group = [("impersonate-user", "carl"), ("impersonate-group", "system:masters")];
    assert_eq!(fixture.ask(&admin, "GET", "/api/v1/nodes", &in_group, &Value::Null).await.0, StatusCode::OK);
    let (code, status) = fixture.ask("ann", "GET", DEPLOYMENTS, &in_group, &Value::Null).await;
    assert_eq!((code, status["details"]["kind"].as_str()), (StatusCode::FORBIDDEN, Some("users")));
    let (code, _) = fixture.ask(&admin, "GET", DEPLOYMENTS, &[("impersonate-group", "a")], &Value::Null).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn nobody_becomes_more_by_what_they_write() {
    let fixture = fixture(&[("ann", "")]).await;
    fixture.bind("default", "ClusterRole/admin", "ann").await;
    fixture.bind("kube-system", "ClusterRole/edit", "ann").await;
    let ask = async |method: &str, path: &str, body: &Value| fixture.ask("ann", method, path, &[], body).await;
    let bindings = format!("{RBAC}/namespaces/default/rolebindings");
    let (code, status) = ask("POST", &bindings, &binding("ClusterRole/cluster-admin", "ann")).await;
    assert_eq!(code, StatusCode::FORBIDDEN, "{status}");
    assert!(status["message"].as_str().unwrap().contains("rights that they do not have"), "{status}");
    assert_eq!(ask("POST", &bindings, &binding("Role/not-there-yet", "ann")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ask("POST", &bindings, &binding("ClusterRole/view", "bob")).await.0, StatusCode::CREATED);
    let roles = format!("{RBAC}/namespaces/default/roles");
    let role = |verb: &str| json!({ "metadata": { "name": "r" }, "rules": [{ "verbs": [verb], "apiGroups": [""], "resources": ["pods"] }] });
    assert_eq!(ask("POST", &roles, &role("*")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ask("POST", &roles, &role("get")).await.0, StatusCode::CREATED);
    assert_eq!(ask("PUT", &format!("{roles}/r"), &role("*")).await.0, StatusCode::FORBIDDEN);
    // A token of another is that other.
    assert_eq!(ask("POST", TOKENS, &token_of("root", "system:masters")).await.0, StatusCode::FORBIDDEN);
    let plain = json!({ "metadata": { "name": "plain" }, "type": "Opaque" });
    assert_eq!(ask("POST", TOKENS, &plain).await.0, StatusCode::CREATED);
}
