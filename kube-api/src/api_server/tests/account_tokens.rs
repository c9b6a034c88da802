//! Tokens of ServiceAccounts, as clients ask for them and show them.

use super::{users::fixture, *};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

async fn account(fixture: &Fixture, name: &str) {
    fixture.create(ACCOUNTS, &json!({ "metadata": { "name": name } })).await;
}

impl Fixture {
    async fn token(&self, account: &str, spec: Value) -> (StatusCode, Value) {
        self.post(&format!("{ACCOUNTS}/{account}/token"), &json!({ "spec": spec })).await
    }

    async fn token_of(&self, account: &str) -> String {
        let (code, answer) = self.token(account, json!({})).await;
        assert_eq!(code, StatusCode::CREATED, "{answer}");
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// What a user may do who shows this token.
    async fn shown(&self, token: &str, path: &str) -> StatusCode {
        self.ask(token, "GET", path, &[], &Value::Null).await.0
    }

    async fn whose(&self, token: &str, audiences: &[&str]) -> Value {
        let (code, review) = self.post(REVIEWS, &json!({ "spec": { "token": token, "audiences": audiences } })).await;
        assert_eq!(code, StatusCode::CREATED, "{review}");
        review["status"].clone()
    }
}

#[tokio::test]
async fn an_account_shows_its_token_and_may_do_what_is_bound_to_it() {
    let fixture = fixture(&[]).await;
    account(&fixture, "cart").await;
    let (code, answer) = fixture.token("cart", json!({ "expirationSeconds": 700 })).await;
    assert_eq!(code, StatusCode::CREATED, "{answer}");
    assert_eq!((&answer["kind"], &answer["spec"]["expirationSeconds"]), (&json!("TokenRequest"), &json!(700)));
    assert!(answer["status"]["expirationTimestamp"].as_str().unwrap().ends_with('Z'), "{answer}");
    let token = answer["status"]["token"].as_str().unwrap().to_owned();
    let (code, refused) = fixture.ask(&token, "GET", DEPLOYMENTS, &[], &Value::Null).await;
    assert_eq!(code, StatusCode::FORBIDDEN);
    assert!(refused["message"].as_str().unwrap().contains("system:serviceaccount:default:cart"), "{refused}");
    fixture.create("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", &json!({
        "metadata": { "name": "cart" }, "subjects": [{ "kind": "ServiceAccount", "name": "cart", "namespace": "default" }],
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view" } })).await;
    fixture.know().await;
    assert_eq!(fixture.shown(&token, DEPLOYMENTS).await, StatusCode::OK);
    assert_eq!(fixture.shown(&token, "/api/v1/nodes").await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_goes_with_its_account() {
    let fixture = fixture(&[]).await;
    let reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let knows = async |token: &str| fixture.ask(token, "POST", reviews, &[], &json!({})).await.0 == StatusCode::CREATED;
    account(&fixture, "cart").await;
    let first = fixture.token_of("cart").await;
    assert!(knows(&first).await);
    fixture.call("DELETE", &format!("{ACCOUNTS}/cart"), &[], "").await;
    fixture.know().await;
    assert!(!knows(&first).await, "the account is gone");
    account(&fixture, "cart").await;
    let second = fixture.token_of("cart").await;
    assert!(knows(&second).await && !knows(&first).await, "another account of the same name is another");
}

#[tokio::test]
async fn whose_a_token_is_is_told_to_who_is_shown_it() {
    let fixture = fixture(&[("ann", "team")]).await;
    account(&fixture, "cart").await;
    let token = fixture.token_of("cart").await;
    let told = fixture.whose(&token, &[]).await;
    assert_eq!(
        (&told["authenticated"], &told["user"]["username"]),
        (&json!(true), &json!("system:serviceaccount:default:cart"))
    );
    assert_eq!(told["audiences"], json!(["https://kubernetes.default.svc.cluster.local"]));
    assert_eq!(fixture.whose("ann", &[]).await["user"]["groups"][0], "team");
    let (_, vault) = fixture.token("cart", json!({ "audiences": ["vault"] })).await;
    let vault = vault["status"]["token"].as_str().unwrap();
    assert_eq!(fixture.whose(vault, &["vault", "db"]).await["audiences"], json!(["vault"]));
    assert_eq!(fixture.shown(vault, DEPLOYMENTS).await, StatusCode::UNAUTHORIZED, "it is for others");
    for (token, audiences) in [(vault, &[][..]), ("none", &[]), (token.as_str(), &["vault"])] {
        let told = fixture.whose(token, audiences).await;
        assert!(told["authenticated"] == false && told["error"].is_string(), "{told}");
    }
    assert_eq!(fixture.post(REVIEWS, &json!({ "spec": {} })).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_by_the_field() {
    let fixture = fixture(&[]).await;
    account(&fixture, "cart").await;
    for (spec, field) in [
        (json!({ "expirationSeconds": 599 }), "spec.expirationSeconds"),
        (json!({ "expirationSeconds": (1_u64 << 32) + 1 }), "spec.expirationSeconds"),
        (json!({ "boundObjectRef": { "kind": "Pod", "name": "cart-1" } }), "spec.boundObjectRef"),
    ] {
        let (code, status) = fixture.token("cart", spec).await;
        assert_eq!(
            (code, &status["details"]["causes"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{status}"
        );
    }
    assert_eq!(fixture.token("none", json!({})).await.0, StatusCode::NOT_FOUND);
    let (code, dry) = fixture.post(&format!("{ACCOUNTS}/cart/token?dryRun=All"), &json!({ "spec": {} })).await;
    assert_eq!((code, &dry["status"]["token"]), (StatusCode::CREATED, &Value::Null));
    assert_eq!(fixture.call("GET", &format!("{ACCOUNTS}/cart/token"), &[], "").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn who_may_edit_a_namespace_may_have_tokens_of_its_accounts() {
    let fixture = fixture(&[("ann", ""), ("bob", "")]).await;
    account(&fixture, "cart").await;
    fixture.bind("default", "ClusterRole/edit", "ann").await;
    fixture.bind("default", "ClusterRole/view", "bob").await;
    let path = format!("{ACCOUNTS}/cart/token");
    assert_eq!(fixture.ask("ann", "POST", &path, &[], &json!({ "spec": {} })).await.0, StatusCode::CREATED);
    assert_eq!(fixture.ask("bob", "POST", &path, &[], &json!({ "spec": {} })).await.0, StatusCode::FORBIDDEN);
    assert_eq!(
        fixture.ask("ann", "POST", REVIEWS, &[], &json!({ "spec": { "token": "a" } })).await.0,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_creates_a_token_and_shows_it() {
    let server = Server::start().await;
    server.ok(&["create", "serviceaccount", "robot"]).await;
    let token = server.ok(&["create", "token", "robot", "--duration=20m"]).await;
    // A kubeconfig without a token of its own, as a robot has it.
    let own = std::fs::read_to_string(server.kubeconfig()).unwrap();
    let of_robot = server.folder.path().join("robot");
    std::fs::write(&of_robot, own.replace(server.token.as_str(), token.trim())).unwrap();
    let kubeconfig = of_robot.to_str().unwrap();
    let (allowed, said) = server.run(&["get", "--raw", "/api/v1/pods", "--kubeconfig", kubeconfig]).await;
    assert!(!allowed && said.contains("system:serviceaccount:default:robot"), "{said}");
    server.stop().await;
}
