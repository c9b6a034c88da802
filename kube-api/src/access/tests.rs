use api::Timestamp;
use http::Method;
use http_server::User;
use serde_json::{Value, json};

use super::{
    Attributes, Granted, Index, NotCovered, default_roles,
    rules::{Rule, rules_of},
};
use crate::kind::{CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING};

/// The default roles, with further objects.
fn index(objects: &[(String, Value)]) -> Index {
    let all = default_roles(Timestamp::default()).into_iter().chain(objects.iter().cloned()).collect::<Vec<_>>();
    Index::of(all.iter().map(|(key, object)| (&**key, object.clone())))
}

fn role(namespace: &str, name: &str, rules: Value) -> (String, Value) {
    (ROLE.key(&api::ObjectKey::new(namespace, name)), json!({ "rules": rules }))
}

fn cluster_role(name: &str, rules: Value) -> (String, Value) {
    (CLUSTER_ROLE.cluster_key(name), json!({ "metadata": { "name": name }, "rules": rules }))
}

fn subject(of: &str) -> Value {
    match of.split_once(' ') {
        Some((kind, name)) => json!([{ "kind": kind, "name": name }]),
        None => json!([{ "kind": "User", "name": of }]),
    }
}

/// A binding of `ClusterRole/NAME` or `Role/NAME`, in a namespace.
fn bound(namespace: &str, of: &str, to: &str) -> (String, Value) {
    let (kind, name) = of.split_once('/').unwrap();
    let binding = json!({ "roleRef": { "kind": kind, "name": name }, "subjects": subject(to) });
    (ROLE_BINDING.key(&api::ObjectKey::new(namespace, format!("{name}-{}", to.replace(' ', "-")))), binding)
}

fn bound_everywhere(name: &str, to: &str) -> (String, Value) {
    let binding = json!({ "roleRef": { "kind": "ClusterRole", "name": name }, "subjects": subject(to) });
    (CLUSTER_ROLE_BINDING.cluster_key(&format!("{name}-{to}")), binding)
}

fn ann() -> User {
    User::authenticated("ann", ["team"])
}

/// Whether a user may send such a request: a method and a path.
fn may(index: &Index, user: &User, request: &str) -> bool {
    let (method, uri) = request.split_once(' ').unwrap();
    let asked = Attributes::of(&Method::from_bytes(method.as_bytes()).unwrap(), &uri.parse().unwrap());
    matches!(index.decide(user, &asked), Granted::Yes(_))
}

const SHOP: &str = "/apis/apps/v1/namespaces/shop/deployments";

#[test]
fn who_views_a_namespace_reads_there_and_nowhere_else_and_changes_nothing() {
    let index = index(&[bound("shop", "ClusterRole/view", "ann")]);
    for (request, allowed) in [
        (format!("GET {SHOP}"), true),
        (format!("GET {SHOP}/cart"), true),
        (format!("GET {SHOP}?watch=true"), true),
        (format!("GET {SHOP}/cart/scale"), true),
        ("GET /api/v1/namespaces/shop/pods/a/log".to_owned(), true),
        ("GET /api/v1/namespaces/shop/secrets".to_owned(), false),
        ("GET /api/v1/namespaces/shop/services/a/proxy/".to_owned(), false),
        (format!("POST {SHOP}"), false),
        (format!("PATCH {SHOP}/cart"), false),
        (format!("PATCH {SHOP}/cart/scale"), false),
        (format!("DELETE {SHOP}"), false),
        ("GET /apis/apps/v1/namespaces/other/deployments".to_owned(), false),
        ("GET /apis/apps/v1/deployments".to_owned(), false),
        ("GET /api/v1/namespaces/shop".to_owned(), true),
        ("GET /api/v1/namespaces".to_owned(), false),
        ("GET /api/v1/nodes".to_owned(), false),
        ("GET /sampan/v1/tokens".to_owned(), false),
        ("POST /sampan/v1/tokens".to_owned(), false),
        ("GET /apis".to_owned(), true),
        ("GET /openapi/v3/apis/apps/v1".to_owned(), true),
        ("GET /version".to_owned(), true),
        ("GET /metrics".to_owned(), false),
        ("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(), true),
        ("POST /apis/authorization.k8s.io/v1/subjectaccessreviews".to_owned(), false),
    ] {
        assert_eq!(may(&index, &ann(), &request), allowed, "{request}");
        assert!(may(&index, &User::admin(), &request), "{request}");
    }
    assert!(!may(&index, &User::anonymous(), "GET /apis"));
}

#[test]
fn who_edits_changes_what_runs_and_gives_nobody_rights_and_who_administers_does() {
    let index = index(&[bound("shop", "ClusterRole/edit", "ann"), bound("shop", "ClusterRole/admin", "bob")]);
    let bob = User::authenticated("bob", [""; 0]);
    let bindings = "POST /apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings";
    for (request, edits, administers) in [
        (format!("PATCH {SHOP}/cart/scale"), true, true),
        ("GET /api/v1/namespaces/shop/secrets/a".to_owned(), true, true),
        ("POST /api/v1/namespaces/shop/pods/a/eviction".to_owned(), true, true),
        (bindings.to_owned(), false, true),
        ("PUT /api/v1/namespaces/shop/pods/a/status".to_owned(), false, false),
        ("DELETE /api/v1/namespaces/shop".to_owned(), false, false),
        ("PATCH /apis/rbac.authorization.k8s.io/v1/clusterroles/view".to_owned(), false, false),
    ] {
        assert_eq!((may(&index, &ann(), &request), may(&index, &bob, &request)), (edits, administers), "{request}");
    }
}

#[test]
fn a_binding_is_for_users_groups_and_accounts_and_one_of_the_cluster_for_all_namespaces() {
    let rules = json!([{ "verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"] }]);
    let index = index(&[
        role("shop", "reads", rules.clone()),
        cluster_role("reads-all", rules),
        bound("shop", "Role/reads", "Group team"),
        bound("shop", "Role/reads", "ServiceAccount bot"),
        bound_everywhere("reads-all", "carl"),
        bound("shop", "Role/gone", "dora"),
    ]);
    let get = |namespace: &str| format!("GET /api/v1/namespaces/{namespace}/configmaps/a");
    let user = |name: &str| User::authenticated(name, [""; 0]);
    assert!(may(&index, &ann(), &get("shop")) && !may(&index, &ann(), &get("other")));
    assert!(may(&index, &user("system:serviceaccount:shop:bot"), &get("shop")));
    assert!(!may(&index, &user("system:serviceaccount:other:bot"), &get("shop")));
    assert!(may(&index, &user("carl"), &get("shop")) && may(&index, &user("carl"), &get("other")));
    // A role that is not there is named.
    let asked = Attributes::of(&Method::GET, &"/api/v1/namespaces/shop/pods".parse().unwrap());
    let missing = Granted::No(vec!["role.rbac.authorization.k8s.io \"gone\" not found".to_owned()]);
    assert_eq!(index.decide(&user("dora"), &asked), missing);
}

#[test]
fn rules_name_subresources_names_and_paths_as_in_kubernetes() {
    let rule = |rule: Value| {
        let rules = rules_of(&json!({ "rules": [rule] }));
        move |request: &str| {
            let (method, uri) = request.split_once(' ').unwrap();
            let asked = Attributes::of(&Method::from_bytes(method.as_bytes()).unwrap(), &uri.parse().unwrap());
            rules[0].allows(&asked)
        }
    };
    let of = |resources: &[&str], names: &[&str]| {
        rule(
            json!({ "verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": resources, "resourceNames": names }),
        )
    };
    let pod = "GET /api/v1/namespaces/a/pods/x";
    let log = "GET /api/v1/namespaces/a/pods/x/log";
    assert!(of(&["pods"], &[])(pod) && !of(&["pods"], &[])(log));
    assert!(of(&["pods/log"], &[])(log) && !of(&["pods/log"], &[])(pod));
    assert!(of(&["*"], &[])(log) && of(&["*"], &[])(pod));
    assert!(of(&["*/log"], &[])(log) && !of(&["*/log"], &[])(pod));
    assert!(of(&["pods"], &["x"])(pod) && !of(&["pods"], &["y"])(pod));
    // Of a list the name is not known, unless it asks for one.
    let list = "GET /api/v1/namespaces/a/pods";
    assert!(!of(&["pods"], &["x"])(list));
    assert!(of(&["pods"], &["x"])(&format!("{list}?fieldSelector=metadata.name%3Dx&watch=true")));
    assert!(!of(&["pods"], &["x"])(&format!("{list}?fieldSelector=metadata.name%3Dx,status.phase%3DRunning")));
    let path = |urls: &[&str]| rule(json!({ "verbs": ["get"], "nonResourceURLs": urls }));
    assert!(path(&["/openapi/*"])("GET /openapi/v2") && !path(&["/openapi"])("GET /openapi/v2"));
    assert!(path(&["*"])("GET /openapi/v2") && !path(&["*"])("POST /openapi/v2"));
    assert!(!rule(json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }))("GET /openapi/v2"));
    assert!(!path(&["*"])(pod), "paths of objects are no paths");
}

#[test]
fn a_role_is_made_of_those_with_its_labels_and_not_of_one_that_is_made_of_others() {
    let labelled = |name: &str, rest: Value| {
        let mut object = json!({ "metadata": { "name": name, "labels": { "to": "all" } } });
        object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        (CLUSTER_ROLE.cluster_key(name), object)
    };
    let selects = json!({ "aggregationRule": { "clusterRoleSelectors": [{ "matchLabels": { "to": "all" } }] } });
    let rules = |resource: &str| json!({ "rules": [{ "verbs": ["get"], "apiGroups": [""], "resources": [resource] }] });
    let index = index(&[
        labelled("all", selects.clone()),
        labelled("circle", selects),
        labelled("pods", rules("pods")),
        labelled("nodes", rules("nodes")),
        bound_everywhere("all", "ann"),
    ]);
    assert!(may(&index, &ann(), "GET /api/v1/nodes/a") && may(&index, &ann(), "GET /api/v1/namespaces/a/pods/b"));
    assert!(!may(&index, &ann(), "GET /api/v1/namespaces/a/secrets/b"));
}

#[test]
fn nobody_gives_more_than_they_have_and_what_cannot_be_compared_is_not_given() {
    let index = index(&[bound("shop", "ClusterRole/edit", "ann")]);
    let rules = |rule: Value| rules_of(&json!({ "rules": [rule] }));
    let one = |verbs: &[&str], groups: &[&str], resources: &[&str]| {
        rules(json!({ "verbs": verbs, "apiGroups": groups, "resources": resources }))
    };
    let gives = |rules: &[Rule]| index.may_give(&ann(), "shop", rules);
    // Of several of her rules together.
    assert_eq!(
        gives(&one(&["get", "delete"], &["", "apps"], &["pods", "deployments"])),
        Err(NotCovered::Beyond("delete deployments".to_owned()))
    );
    assert_eq!(gives(&one(&["get", "delete"], &["apps"], &["deployments", "deployments/scale"])), Ok(()));
    assert_eq!(gives(&one(&["get"], &["apps"], &["*"])), Err(NotCovered::Beyond("get *.apps".to_owned())));
    assert!(index.may_give(&ann(), "other", &one(&["get"], &[""], &["pods"])).is_err());
    assert_eq!(index.may_give(&User::admin(), "", &[Rule::all_objects(), Rule::all_paths()]), Ok(()));
    let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(gives(&one(&many, &many, &many)), Err(NotCovered::TooMany));
}
