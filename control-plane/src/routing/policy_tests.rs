use kube_api::fields::decode;
use serde_json::{Value, json};

use super::*;

fn policies(specs: &[(&str, Value)]) -> Vec<Policy> {
    let read = |(name, spec): &(&str, Value)| {
        let (namespace, name) = name.split_once('/').unwrap();
        Policy::read(&ObjectKey::new(namespace, name), decode(&json!({ "spec": spec })).unwrap())
    };
    specs.iter().map(read).collect()
}

fn labels(text: &str) -> Labels {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// `NAMESPACE{of-namespace} labels`: who is it.
struct Who(String, Labels, Labels);

impl Who {
    fn of(text: &str) -> Self {
        let (namespace, own) = text.split_once(' ').unwrap_or((text, ""));
        let of_namespace = match namespace {
            "shop" => "team=shop,kubernetes.io/metadata.name=shop",
            "ops" => "team=ops,kubernetes.io/metadata.name=ops",
            _ => "",
        };
        Self(namespace.to_owned(), labels(own), labels(of_namespace))
    }

    fn pod(&self) -> Pod<'_> {
        Pod { namespace: &self.0, labels: Some(&self.1), of_namespace: Some(&self.2) }
    }
}

/// Whether a call is allowed, or by which policy it is not.
fn call(policies: &[Policy], from: &str, to: &str, port: u16) -> String {
    let (from, to) = (Who::of(from), Who::of(to));
    let names = BTreeMap::from([("web".to_owned(), 8080), ("metrics".to_owned(), 9090)]);
    match decide(policies, from.pod(), to.pod(), Port { number: port, names: &names }) {
        Ok(()) => "yes".to_owned(),
        Err(denied) => denied.policy.to_string(),
    }
}

#[test]
fn calls_are_allowed_and_denied_as_kubernetes_says_it_of_pods() {
    let app = |app: &str| json!({ "matchLabels": { "app": app } });
    let all = || json!({});
    let deny = json!({ "podSelector": all(), "policyTypes": ["Ingress"] });
    let from = |peers: Value| json!({ "podSelector": app("db"), "ingress": [ { "from": peers } ] });
    let db = "shop app=db";
    let (web, other, stranger) = ("shop app=web", "shop app=other", "ops app=web");
    for (what, specs, cases) in [
        ("none", vec![], vec![(web, db, 80, "yes"), (stranger, db, 80, "yes")]),
        (
            "deny all of a namespace",
            vec![("shop/deny", deny.clone())],
            vec![(web, db, 80, "shop/deny"), (stranger, db, 80, "shop/deny"), (db, stranger, 80, "yes")],
        ),
        (
            "policies add up",
            vec![("shop/allow", from(json!([ { "podSelector": app("web") } ]))), ("shop/deny", deny)],
            vec![(web, db, 80, "yes"), (other, db, 80, "shop/allow"), (web, other, 80, "shop/deny")],
        ),
        (
            "a pod selector alone is of the policy's namespace",
            vec![("shop/p", from(json!([ { "podSelector": app("web") } ])))],
            vec![(web, db, 80, "yes"), (stranger, db, 80, "shop/p"), (web, other, 80, "yes")],
        ),
        (
            "an empty pod selector is all of the policy's namespace",
            vec![("shop/p", from(json!([ { "podSelector": {} } ])))],
            vec![(other, db, 80, "yes"), (stranger, db, 80, "shop/p")],
        ),
        (
            "a namespace selector alone is all pods of those",
            vec![("shop/p", from(json!([ { "namespaceSelector": { "matchLabels": { "team": "ops" } } } ])))],
            vec![(web, db, 80, "shop/p"), (stranger, db, 80, "yes"), ("lab app=web", db, 80, "shop/p")],
        ),
        (
            "an empty namespace selector is everybody's pods",
            vec![("shop/p", from(json!([ { "namespaceSelector": {} } ])))],
            vec![(web, db, 80, "yes"), (stranger, db, 80, "yes"), ("lab x=y", db, 80, "yes")],
        ),
        (
            "both in one peer are both",
            vec![(
                "shop/p",
                from(
                    json!([ { "namespaceSelector": { "matchLabels": { "team": "ops" } }, "podSelector": app("web") } ]),
                ),
            )],
            vec![(stranger, db, 80, "yes"), ("ops app=x", db, 80, "shop/p"), (web, db, 80, "shop/p")],
        ),
        (
            "in two peers either",
            vec![(
                "shop/p",
                from(
                    json!([ { "namespaceSelector": { "matchLabels": { "team": "ops" } } }, { "podSelector": app("web") } ]),
                ),
            )],
            vec![("ops app=x", db, 80, "yes"), (web, db, 80, "yes"), (other, db, 80, "shop/p")],
        ),
        (
            "expressions",
            vec![(
                "shop/p",
                from(json!([ { "podSelector": { "matchExpressions": [
                    { "key": "app", "operator": "In", "values": ["web", "api"] },
                    { "key": "legacy", "operator": "DoesNotExist" } ] } } ])),
            )],
            vec![(web, db, 80, "yes"), ("shop app=web,legacy=1", db, 80, "shop/p"), (other, db, 80, "shop/p")],
        ),
        (
            "everybody",
            vec![("shop/p", json!({ "podSelector": {}, "ingress": [ {} ] }))],
            vec![(stranger, db, 80, "yes")],
        ),
        ("an empty list of peers is everybody", vec![("shop/p", from(json!([])))], vec![(stranger, db, 80, "yes")]),
        (
            "ports by number, name and range",
            vec![(
                "shop/p",
                json!({ "podSelector": app("db"), "ingress": [ { "ports": [
                    { "port": 5432 }, { "port": "web", "protocol": "TCP" }, { "port": 7000, "endPort": 7010 } ] } ] }),
            )],
            vec![
                (web, db, 5432, "yes"),
                (web, db, 8080, "yes"),
                (web, db, 7000, "yes"),
                (web, db, 7010, "yes"),
                (web, db, 7011, "shop/p"),
                (web, db, 9090, "shop/p"),
                (web, db, 80, "shop/p"),
            ],
        ),
        (
            "ports of another protocol are none",
            vec![(
                "shop/p",
                json!({ "podSelector": app("db"), "ingress": [ { "ports": [ { "port": 80, "protocol": "UDP" } ] } ] }),
            )],
            vec![(web, db, 80, "shop/p")],
        ),
        (
            "egress needs to be named",
            vec![("shop/p", json!({ "podSelector": app("web"), "policyTypes": ["Egress"] }))],
            vec![(web, db, 80, "shop/p"), (other, db, 80, "yes"), (stranger, web, 80, "yes")],
        ),
        (
            "rules of egress make it one of egress and of ingress",
            vec![(
                "shop/p",
                json!({ "podSelector": app("web"), "egress": [ { "to": [ { "podSelector": app("db") } ], "ports": [ { "port": 80 } ] } ] }),
            )],
            vec![(web, db, 80, "yes"), (web, db, 81, "shop/p"), (web, other, 80, "shop/p"), (db, web, 80, "shop/p")],
        ),
        (
            "both sides must allow",
            vec![
                (
                    "ops/out",
                    json!({ "podSelector": {}, "policyTypes": ["Egress"],
                    "egress": [ { "to": [ { "namespaceSelector": { "matchLabels": { "team": "shop" } } } ] } ] }),
                ),
                ("shop/in", from(json!([ { "podSelector": app("web") } ]))),
            ],
            vec![(stranger, db, 80, "shop/in"), (stranger, web, 80, "yes"), (stranger, "lab app=x", 80, "ops/out")],
        ),
    ] {
        let policies = policies(&specs);
        for (from, to, port, answer) in cases {
            assert_eq!(call(&policies, from, to, port), answer, "{what}: {from} calls {to} at {port}");
        }
    }
}

#[test]
fn of_who_is_not_known_nothing_is_assumed_that_would_allow_it() {
    let policies = policies(&[
        (
            "shop/in",
            json!({ "podSelector": { "matchLabels": { "app": "db" } },
            "ingress": [ { "from": [ { "podSelector": { "matchLabels": { "app": "web" } } } ] } ] }),
        ),
        (
            "shop/open",
            json!({ "podSelector": { "matchLabels": { "app": "open" } },
            "ingress": [ { "from": [ { "podSelector": {} } ] } ] }),
        ),
        (
            "ops/out",
            json!({ "podSelector": { "matchLabels": { "app": "x" } }, "policyTypes": ["Egress"], "egress": [ {} ] }),
        ),
    ]);
    let to = |app: &str| Who::of(&format!("shop app={app}"));
    let decide = |from: Pod<'_>, to: &Who| {
        decide(&policies, from, to.pod(), Port { number: 80, names: &BTreeMap::new() })
            .map_err(|denied| denied.to_string())
    };
    let own = labels("team=shop");
    let unknown = |namespace| Pod { namespace, labels: None, of_namespace: Some(&own) };
    assert!(decide(unknown("shop"), &to("db")).is_err());
    assert_eq!(decide(unknown("shop"), &to("open")), Ok(()));
    assert_eq!(decide(unknown("shop"), &to("other")), Ok(()));
    let said = decide(unknown("ops"), &to("other")).unwrap_err();
    assert!(said.contains("NetworkPolicy ops/out (egress"), "{said}");
    assert!(decide(Pod { namespace: "lab", labels: None, of_namespace: None }, &to("db")).is_err());
}

#[test]
fn hosts_outside_are_for_rules_that_name_no_peer() {
    let policies = policies(&[(
        "shop/a",
        json!({ "podSelector": {}, "policyTypes": ["Egress"],
            "egress": [ { "to": [ { "namespaceSelector": {} } ] }, { "ports": [ { "port": 443 } ] } ] }),
    )]);
    let from = Who::of("shop app=web");
    let may = outside(&policies, from.pod());
    assert_eq!(may.decide(443), Ok(()));
    assert_eq!(may.decide(80).unwrap_err().policy, &ObjectKey::new("shop", "a"));
    assert_eq!(outside(&policies, Who::of("ops app=web").pod()).decide(80), Ok(()));
}

#[test]
fn ports_outside_add_up_over_rules_and_policies_that_select_the_pod() {
    let web = json!({ "matchLabels": { "app": "web" } });
    let egress = |pods: &Value, ports: Value| json!({ "podSelector": pods, "egress": [ { "ports": ports } ] });
    let policies = policies(&[
        (
            "shop/a",
            egress(&web, json!([ { "port": 10, "endPort": 20 }, { "port": 5 }, { "port": 15, "endPort": 30 } ])),
        ),
        ("shop/b", egress(&json!({}), json!([ { "port": 31 }, { "port": 65535 }, { "port": 0 }, { "port": "web" } ]))),
        ("shop/c", egress(&json!({ "matchLabels": { "app": "other" } }), json!([ { "port": 40 } ]))),
        ("shop/d", egress(&web, json!([ { "port": 50, "protocol": "UDP" } ]))),
    ]);
    let may = outside(&policies, Who::of("shop app=web").pod());
    for (port, allowed) in [
        (0, true),
        (1, false),
        (4, false),
        (5, true),
        (6, false),
        (9, false),
        (10, true),
        (20, true),
        (21, true),
        (30, true),
        (31, true),
        (32, false),
        (40, false),
        (50, false),
        (65534, false),
        (65535, true),
    ] {
        assert_eq!(may.decide(port).is_ok(), allowed, "{port}");
    }
    assert_eq!(may.decide(40).unwrap_err().policy, &ObjectKey::new("shop", "a"));
    // Of who is not known only the policy counts that selects everybody.
    let unknown = outside(&policies, Pod { namespace: "shop", labels: None, of_namespace: None });
    assert!(unknown.decide(31).is_ok() && unknown.decide(5).is_err());
    let every = outside(&policies[..0], Who::of("shop app=web").pod());
    assert!(every.decide(1).is_ok());
}
