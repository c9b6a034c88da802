use proptest::prelude::*;
use serde_json::{Value, json};

use super::{StrategicMergeError, index::work};
use crate::schema;

/// Applies a patch to an object of the first kind of this name.
fn apply(kind: &str, object: &mut Value, patch: &Value) -> Result<(), StrategicMergeError> {
    let of = schema::served().kinds().find(|(gvk, _)| gvk.kind == kind);
    super::apply(of.map(|(_, id)| schema::served().message(id)), object, patch)
}

fn patched(kind: &str, mut object: Value, patch: Value) -> Value {
    apply(kind, &mut object, &patch).expect("the patch is right");
    object
}

fn deployment(containers: Value) -> Value {
    json!({ "spec": { "template": { "spec": { "containers": containers } } } })
}

#[test]
fn containers_are_merged_by_name_and_their_ports_by_number() {
    let object = deployment(json!([
        { "name": "a", "image": "a:1", "ports": [ { "containerPort": 80 }, { "containerPort": 81 } ] },
        { "name": "b", "image": "b:1" },
    ]));
    let patch = deployment(json!([
        { "name": "b", "image": "b:2" },
        { "name": "a", "ports": [ { "containerPort": 81, "name": "admin" } ], "env": [ { "name": "X", "value": "1" } ] },
        { "name": "c", "image": "c:1" },
    ]));
    assert_eq!(
        patched("Deployment", object, patch),
        deployment(json!([
            { "name": "a", "image": "a:1", "ports": [ { "containerPort": 80 }, { "containerPort": 81, "name": "admin" } ],
              "env": [ { "name": "X", "value": "1" } ] },
            { "name": "b", "image": "b:2" },
            { "name": "c", "image": "c:1" },
        ]))
    );
}

#[test]
fn lists_without_a_rule_are_replaced() {
    let object = deployment(json!([ { "name": "a", "args": ["x", "y"] } ]));
    let patch = deployment(json!([ { "name": "a", "args": ["z"] } ]));
    assert_eq!(patched("Deployment", object, patch), deployment(json!([ { "name": "a", "args": ["z"] } ])));
    let service = json!({ "spec": { "ports": [ { "port": 80, "name": "a" } ] } });
    let patch = json!({ "spec": { "ports": [ { "port": 81 } ] } });
    let merged = json!({ "spec": { "ports": [ { "port": 80, "name": "a" }, { "port": 81 } ] } });
    assert_eq!(patched("Service", service.clone(), patch.clone()), merged);
    assert_eq!(patched("Other", service, patch.clone()), patch);
}

#[test]
fn directives_delete_replace_and_retain() {
    let object = deployment(json!([ { "name": "a" }, { "name": "b" } ]));
    let patch = deployment(json!([ { "name": "a", "$patch": "delete" } ]));
    assert_eq!(patched("Deployment", object.clone(), patch), deployment(json!([ { "name": "b" } ])));
    let patch = deployment(json!([ { "name": "c" }, { "$patch": "replace" } ]));
    assert_eq!(patched("Deployment", object, patch), deployment(json!([ { "name": "c" } ])));

    let object = json!({ "spec": { "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1 } } } });
    let patch = json!({ "spec": { "strategy": { "$retainKeys": ["type"], "type": "Recreate" } } });
    assert_eq!(patched("Deployment", object.clone(), patch), json!({ "spec": { "strategy": { "type": "Recreate" } } }));
    let patch = json!({ "spec": { "strategy": { "$patch": "replace", "type": "Recreate" } } });
    assert_eq!(patched("Deployment", object, patch), json!({ "spec": { "strategy": { "type": "Recreate" } } }));

    let object = json!({ "metadata": { "finalizers": ["a", "b"] } });
    let patch = json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"] } });
    assert_eq!(patched("Deployment", object, patch), json!({ "metadata": { "finalizers": ["b", "c"] } }));
}

#[test]
fn the_order_of_elements_is_set_and_what_it_does_not_name_keeps_its_place() {
    let object = deployment(json!([ { "name": "a" }, { "name": "server" }, { "name": "b" } ]));
    let mut patch = deployment(json!([ { "name": "new" }, { "name": "b", "image": "b:2" } ]));
    patch["spec"]["template"]["spec"]["$setElementOrder/containers"] =
        json!([ { "name": "new" }, { "name": "b" }, { "name": "a" } ]);
    let names: Vec<_> = patched("Deployment", object, patch)["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["new", "server", "b", "a"]);
}

#[test]
fn patches_that_make_no_sense_are_refused() {
    let mut object = deployment(json!([ { "name": "a" } ]));
    let error = apply("Deployment", &mut object, &deployment(json!([ { "image": "x" } ])));
    assert_eq!(
        error,
        Err(StrategicMergeError::NoKey { path: "spec.template.spec.containers".to_owned(), key: "name" })
    );
    let error = apply("Deployment", &mut object, &json!({ "spec": { "$patch": "burn" } }));
    assert_eq!(error, Err(StrategicMergeError::UnknownDirective("burn".to_owned())));
    assert!(apply("Deployment", &mut object, &json!({ "spec": { "$retainKeys": 1 } })).is_err());
}

fn containers() -> impl Strategy<Value = Value> {
    let container =
        ("[a-d]", "[x-z]", prop::collection::btree_map("[A-C]", "[0-9]", 0..3)).prop_map(|(name, image, env)| {
            let env: Vec<_> = env.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            json!({ "name": name, "image": image, "env": env })
        });
    prop::collection::vec(container, 0..4).prop_map(|mut list| {
        list.sort_by_key(|c: &Value| c["name"].as_str().unwrap_or_default().to_owned());
        list.dedup_by_key(|c| c["name"].clone());
        deployment(Value::Array(list))
    })
}

proptest! {
    #[test]
    fn a_patch_that_was_applied_changes_nothing_more(object in containers(), patch in containers()) {
        let once = patched("Deployment", object, patch.clone());
        prop_assert_eq!(patched("Deployment", once.clone(), patch), once);
    }

    #[test]
    fn an_object_patched_with_itself_or_with_nothing_stays_as_it_is(object in containers()) {
        prop_assert_eq!(patched("Deployment", object.clone(), object.clone()), object.clone());
        prop_assert_eq!(patched("Deployment", object.clone(), json!({})), object);
    }

    #[test]
    fn no_directive_is_ever_stored(object in containers(), patch in containers()) {
        let mut patch = patch;
        patch["spec"]["template"]["spec"]["$setElementOrder/containers"] = json!([{ "name": "b" }, { "name": "a" }]);
        patch["spec"]["$retainKeys"] = json!(["template"]);
        prop_assert!(!patched("Deployment", object, patch).to_string().contains('$'));
    }
}

fn all<const N: usize>(lists: [Vec<Value>; N]) -> Value {
    Value::Array(lists.concat())
}

/// What it takes to merge so many elements into as many, by every directive.
fn work_of(elements: usize) -> usize {
    let named = |prefix: &str| {
        (0..elements).map(|n| json!({ "name": format!("{prefix}{n}"), "value": "1" })).collect::<Vec<_>>()
    };
    let names = |prefix: &str| (0..elements).map(|n| json!({ "name": format!("{prefix}{n}") })).collect::<Vec<_>>();
    let values = |prefix: &str| (0..elements).map(|n| json!(format!("{prefix}{n}"))).collect::<Vec<_>>();
    let deleted = (0..elements).map(|n| json!({ "name": format!("gone{n}"), "$patch": "delete" })).collect::<Vec<_>>();
    let mut object = deployment(json!([ { "name": "c", "env": all([named("gone"), named("old")]) } ]));
    object["metadata"] = json!({ "finalizers": all([values("gone"), values("old")]) });
    let mut patch = deployment(json!([ { "name": "c", "env": all([deleted, named("old"), named("new")]),
        "$setElementOrder/env": all([names("new"), names("old")]) } ]));
    patch["metadata"] = json!({ "finalizers": values("new"), "$deleteFromPrimitiveList/finalizers": values("gone"),
        "$setElementOrder/finalizers": all([values("new"), values("old")]) });
    work::done_by(|| {
        let merged = patched("Deployment", object.clone(), patch.clone());
        let env = merged["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
        assert_eq!(
            (env.len(), &env[0]["name"], &env[elements]["name"]),
            (2 * elements, &json!("new0"), &json!("old0"))
        );
        assert_eq!(merged["metadata"]["finalizers"].as_array().unwrap().len(), 2 * elements);
    })
}

#[test]
fn the_work_of_a_merge_grows_with_the_length_of_its_lists_and_not_with_its_square() {
    let (few, many) = (work_of(500), work_of(8000));
    assert!(many < 20 * few, "500 elements take {few} steps, 16 times as many {many}");
    assert!(many < 40 * 8000, "8000 elements take {many} steps");
}
