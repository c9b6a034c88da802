use serde_json::json;

use super::*;
use crate::schema::{Gvk, served};

fn kind(api_version: &str, kind: &str) -> Kind<'static> {
    let root = served().kind_id(&Gvk::of(api_version, kind)).expect("it is served");
    Kind { schemas: served(), root }
}

fn writer(manager: &str) -> Writer {
    Writer {
        manager: manager.to_owned(),
        api_version: "apps/v1".to_owned(),
        subresource: String::new(),
        now: "2026-01-31T12:00:00Z".to_owned(),
        reach: Reach::NotStatus,
    }
}

/// A Deployment, and who has done what with it.
struct Story {
    live: Value,
}

impl Story {
    fn new() -> Self {
        Self { live: json!({ "metadata": {} }) }
    }

    fn try_apply(&mut self, manager: &str, applied: Value, force: bool) -> Result<(), String> {
        let outcome = apply(kind("apps/v1", "Deployment"), &self.live, &applied, &writer(manager), force);
        let (merged, owners) = outcome.map_err(|error| error.to_string())?;
        self.live = merged;
        owners.put_into(&mut self.live);
        Ok(())
    }

    fn apply(mut self, manager: &str, applied: Value) -> Self {
        self.try_apply(manager, applied, false).expect("it can be applied");
        self
    }

    fn update(mut self, manager: &str, new: Value) -> Self {
        let owners = Owners::of(&self.live).expect("they are right");
        let live = (self.live != json!({ "metadata": {} })).then_some(&self.live);
        let owners = update(kind("apps/v1", "Deployment"), live, &new, owners, &writer(manager));
        self.live = new;
        owners.expect("it can be compared").put_into(&mut self.live);
        self
    }

    fn spec(&self) -> &Value {
        &self.live["spec"]
    }

    fn owned_by(&self, manager: &str) -> Value {
        let owners = Owners::of(&self.live).expect("they are right");
        let mut found = owners.entries().iter().filter(|entry| entry.manager == manager);
        found.next().map_or(Value::Null, |entry| entry.fields.written())
    }
}

fn containers(list: Value) -> Value {
    json!({ "spec": { "template": { "spec": { "containers": list } } } })
}

#[test]
fn what_a_manager_applies_no_longer_goes_and_what_others_set_stays() {
    let story = Story::new()
        .apply(
            "one",
            json!({ "metadata": { "labels": { "a": "1", "b": "2" } }, "spec": { "replicas": 3, "paused": true } }),
        )
        .apply("two", json!({ "metadata": { "labels": { "c": "3" } }, "spec": { "minReadySeconds": 5 } }))
        .apply("one", json!({ "metadata": { "labels": { "a": "1" } }, "spec": { "replicas": 3 } }));
    assert_eq!(story.live["metadata"]["labels"], json!({ "a": "1", "c": "3" }));
    assert_eq!(*story.spec(), json!({ "replicas": 3, "minReadySeconds": 5 }));
    assert_eq!(
        story.owned_by("one"),
        json!({ "f:metadata": { "f:labels": { "f:a": {} } }, "f:spec": { "f:replicas": {} } })
    );
}

#[test]
fn a_field_of_another_with_another_value_is_a_conflict_that_names_both() {
    let mut story = Story::new().apply("one", json!({ "spec": { "replicas": 3, "paused": true } }));
    let said = story.try_apply("two", json!({ "spec": { "replicas": 4 } }), false);
    assert_eq!(said, Err("Apply failed with 1 conflict: conflict with \"one\": .spec.replicas".to_owned()));
    let said = story.try_apply("two", json!({ "spec": { "replicas": 4, "paused": false } }), false);
    let all = "Apply failed with 2 conflicts: conflicts with \"one\":\n- .spec.paused\n- .spec.replicas";
    assert_eq!(said, Err(all.to_owned()));
    story.try_apply("two", json!({ "spec": { "replicas": 4 } }), true).expect("it is forced");
    assert_eq!(story.spec()["replicas"], 4);
    assert_eq!(story.owned_by("one"), json!({ "f:spec": { "f:paused": {} } }));
}

#[test]
fn the_same_value_may_be_applied_by_several_and_stays_until_the_last_lets_go() {
    let story = Story::new()
        .apply("one", json!({ "spec": { "replicas": 3 } }))
        .apply("two", json!({ "spec": { "replicas": 3 } }))
        .apply("one", json!({ "spec": {} }));
    assert_eq!(story.spec()["replicas"], 3);
    assert!(story.apply("two", json!({ "spec": {} })).live.pointer("/spec/replicas").is_none());
}

#[test]
fn elements_of_lists_with_keys_are_merged_and_removed_one_by_one() {
    let story = Story::new()
        .apply("one", containers(json!([{ "name": "a", "image": "x" }, { "name": "b", "image": "y" }])))
        .apply("two", containers(json!([{ "name": "b", "env": [{ "name": "E", "value": "1" }] }])))
        .apply("one", containers(json!([{ "name": "a", "image": "x" }])));
    assert_eq!(
        story.live.pointer("/spec/template/spec/containers"),
        Some(&json!([{ "name": "a", "image": "x" }, { "name": "b", "env": [{ "name": "E", "value": "1" }] }]))
    );
    let keys = story.owned_by("two").pointer("/f:spec/f:template/f:spec/f:containers").cloned();
    let environment = json!({ "k:{\"name\":\"E\"}": { ".": {}, "f:name": {}, "f:value": {} } });
    assert_eq!(keys, Some(json!({ "k:{\"name\":\"b\"}": { ".": {}, "f:name": {}, "f:env": environment } })));
}

#[test]
fn a_key_that_is_not_written_has_its_default() {
    let ports = |list: Value| containers(json!([{ "name": "a", "ports": list }]));
    let mut story = Story::new().apply("one", ports(json!([{ "containerPort": 80, "protocol": "TCP" }]))).apply(
        "two",
        ports(json!([{ "containerPort": 80, "name": "http" }, { "containerPort": 80, "protocol": "UDP" }])),
    );
    assert_eq!(
        story.live.pointer("/spec/template/spec/containers/0/ports"),
        Some(&json!([
            { "containerPort": 80, "protocol": "TCP", "name": "http" }, { "containerPort": 80, "protocol": "UDP" }
        ]))
    );
    let twice = ports(json!([{ "containerPort": 1 }, { "containerPort": 1, "protocol": "TCP" }]));
    let said = story.try_apply("two", twice, false).expect_err("it is there twice");
    assert!(said.contains("[containerPort=1,protocol=\"TCP\"] is there twice"), "{said}");
    let without = ports(json!([{ "name": "none" }]));
    assert!(story.try_apply("two", without, false).is_ok(), "the protocol tells it apart");
}

#[test]
fn sets_are_merged_by_value_and_atomic_fields_have_one_owner() {
    let finalizers = |list: Value| json!({ "metadata": { "finalizers": list } });
    let mut story = Story::new()
        .apply("one", finalizers(json!(["a/x", "a/y"])))
        .apply("two", finalizers(json!(["a/y", "a/z"])))
        .apply("one", finalizers(json!(["a/x"])));
    assert_eq!(story.live["metadata"]["finalizers"], json!(["a/x", "a/y", "a/z"]));
    let selector = |labels: Value| json!({ "spec": { "selector": { "matchLabels": labels } } });
    story = story.apply("one", selector(json!({ "a": "1" })));
    assert_eq!(story.owned_by("one"), json!({ "f:spec": { "f:selector": {} } }));
    let said = story.try_apply("two", selector(json!({ "b": "1" })), false);
    assert_eq!(said, Err("Apply failed with 1 conflict: conflict with \"one\": .spec.selector".to_owned()));
    story.try_apply("two", selector(json!({ "b": "1" })), true).expect("it is forced");
    assert_eq!(story.spec()["selector"], json!({ "matchLabels": { "b": "1" } }));
}

#[test]
fn who_changes_what_another_applied_owns_it_and_the_next_apply_meets_a_conflict() {
    let mut story = Story::new().apply("one", json!({ "spec": { "replicas": 3 } }));
    let mut new = story.live.clone();
    new["spec"]["replicas"] = json!(5);
    story = story.update("scaler", new);
    assert_eq!(story.owned_by("one"), Value::Null);
    let said = story.try_apply("one", json!({ "spec": { "replicas": 3 } }), false);
    let conflict =
        "Apply failed with 1 conflict: conflict with \"scaler\" using apps/v1 at 2026-01-31T12:00:00Z: .spec.replicas";
    assert_eq!(said, Err(conflict.to_owned()));
}

#[test]
fn what_a_manager_owned_and_another_removed_is_nobodys() {
    let story = Story::new().apply("one", json!({ "metadata": { "labels": { "a": "1", "b": "2" } } }));
    let mut new = story.live.clone();
    new["metadata"]["labels"] = json!({ "b": "2" });
    let story = story.update("editor", new);
    assert_eq!(story.owned_by("one"), json!({ "f:metadata": { "f:labels": { "f:b": {} } } }));
    assert_eq!(story.owned_by("editor"), Value::Null);
}

#[test]
fn what_was_made_owns_its_fields_as_kubernetes_writes_them() {
    let story = Story::new().update(
        "kubectl-create",
        json!({ "metadata": { "name": "a", "labels": { "a": "1" } }, "status": { "replicas": 1 }, "spec": { "replicas": 1,
            "selector": { "matchLabels": { "a": "1" } }, "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1 } },
            "template": { "spec": { "containers": [{ "name": "c", "image": "i" }] } } } }),
    );
    assert_eq!(
        story.owned_by("kubectl-create"),
        json!({ "f:metadata": { "f:labels": { ".": {}, "f:a": {} } }, "f:spec": { "f:replicas": {}, "f:selector": {},
            "f:strategy": { "f:rollingUpdate": { ".": {}, "f:maxSurge": {} }, "f:type": {} },
            "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"c\"}": { ".": {}, "f:image": {}, "f:name": {} } } } } } })
    );
}

#[test]
fn what_was_there_before_the_first_apply_is_kept_and_conflicts() {
    let mut story = Story { live: json!({ "metadata": { "labels": { "a": "1" } }, "spec": { "replicas": 1 } }) };
    let said = story.try_apply("one", json!({ "spec": { "replicas": 2 } }), false).expect_err("it is another's");
    assert!(said.contains("\"before-first-apply\" using apps/v1"), "{said}");
    story.try_apply("one", json!({ "spec": { "replicas": 2 } }), true).expect("it is forced");
    assert_eq!(story.live["metadata"]["labels"], json!({ "a": "1" }));
    assert_eq!(story.owned_by("before-first-apply"), json!({ "f:metadata": { "f:labels": { ".": {}, "f:a": {} } } }));
}

#[test]
fn kubectl_may_change_what_kubectl_applied_before_at_the_clients_side() {
    let last = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": { "replicas": 1, "paused": false } });
    let annotations = json!({ "kubectl.kubernetes.io/last-applied-configuration": last.to_string() });
    let live = json!({ "metadata": { "annotations": annotations }, "spec": { "replicas": 1, "paused": true } });
    let mut story = Story::new().update("kubectl-client-side-apply", live);
    story.try_apply("kubectl", json!({ "spec": { "replicas": 2 } }), false).expect("it was kubectl's");
    let said = story.try_apply("kubectl", json!({ "spec": { "replicas": 2, "paused": false } }), false);
    // Somebody else has changed this one since.
    assert!(said.expect_err("it was changed").contains(".spec.paused"));
    let said = story.try_apply("other", json!({ "spec": { "replicas": 3 } }), false);
    assert!(said.expect_err("it is kubectl's").contains("conflict with \"kubectl\": .spec.replicas"));
}

#[test]
fn applying_the_same_again_changes_nothing_not_even_the_time() {
    let mut story = Story::new().apply("one", json!({ "spec": { "replicas": 3 } }));
    let before = story.live.clone();
    let later = Writer { now: "2027-01-31T12:00:00Z".to_owned(), ..writer("one") };
    let again = json!({ "spec": { "replicas": 3 } });
    let (merged, owners) =
        apply(kind("apps/v1", "Deployment"), &story.live, &again, &later, false).expect("it can be applied");
    story.live = merged;
    owners.put_into(&mut story.live);
    assert_eq!(story.live, before);
}

#[test]
fn a_null_that_is_applied_takes_the_place_of_a_value() {
    let story = Story::new()
        .apply("one", json!({ "spec": { "replicas": 3, "paused": true } }))
        .apply("one", json!({ "spec": { "replicas": null, "paused": true } }));
    assert_eq!(*story.spec(), json!({ "replicas": null, "paused": true }));
}

#[test]
fn elements_that_several_apply_are_in_the_order_of_the_last_and_others_stay_before_what_followed_them() {
    let names = |story: &Story| -> Vec<String> {
        let list = story.live.pointer("/spec/template/spec/containers").and_then(Value::as_array).expect("a list");
        list.iter().map(|container| container["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let named = |names: &[&str]| containers(names.iter().map(|name| json!({ "name": name })).collect());
    let story = Story::new().apply("one", named(&["a", "b", "c", "d"]));
    let story = story.apply("two", named(&["d", "x", "b"]));
    assert_eq!(names(&story), ["a", "c", "d", "x", "b"]);
}

#[test]
fn of_many_writers_the_oldest_become_one() {
    let mut story = Story::new();
    for number in 0..15 {
        let mut new = story.live.clone();
        new["metadata"]["labels"][format!("l{number}")] = json!("x");
        story = story.update(&format!("writer-{number:02}"), new);
    }
    let owners = Owners::of(&story.live).expect("they are right");
    assert_eq!(owners.entries().len(), MAX_UPDATERS);
    let labels: usize = owners.entries().iter().map(|entry| entry.fields.paths().len()).sum();
    assert!(labels >= 15 && story.owned_by("ancient-changes") != Value::Null);
}

#[test]
fn sets_are_written_and_read_as_fields_v1() {
    let text = json!({ "f:a": { ".": {}, "f:b": {}, "k:{\"name\":\"x\",\"port\":80}": { "f:c": {} }, "v:\"y\"": {}, "i:3": {} } });
    let set = FieldSet::read(&text).expect("it is right");
    assert_eq!(set.written(), text);
    assert!(set.has(&[Step::Field("a".into())]) && set.paths().len() == 5);
    for wrong in [json!([]), json!({ "a": {} }), json!({ "k:{}": {} }), json!({ "f:a": 1 })] {
        assert!(FieldSet::read(&wrong).is_none(), "{wrong}");
    }
    assert!(Owners::of(&json!({ "metadata": { "managedFields": [{ "operation": "Other" }] } })).is_err());
    assert_eq!(Owners::of(&json!({ "metadata": { "managedFields": [{}] } })), Ok(Owners::default()));
}

#[test]
fn of_thousands_who_wrote_in_several_versions_ten_entries_are_left_and_no_field_is_lost() {
    let entry = |number: usize| {
        let version = if number.is_multiple_of(2) { "apps/v1" } else { "apps/v1beta1" };
        let labels = json!({ format!("f:l{number}"): {} });
        json!({ "manager": format!("m{number}"), "operation": "Update", "apiVersion": version, "fieldsType": "FieldsV1",
            "fieldsV1": { "f:metadata": { "f:labels": labels } } })
    };
    let entries: Vec<_> = (0..5000).map(entry).collect();
    let mut owners = Owners::of(&json!({ "metadata": { "managedFields": entries } })).expect("they are right");
    owners.cap();
    assert_eq!(owners.entries().len(), MAX_UPDATERS);
    assert_eq!(owners.entries().iter().map(|entry| entry.fields.paths().len()).sum::<usize>(), 5000);
}
