//! Stories of server-side apply as Kubernetes' own library tells them: `tests/conformance/go/merge` writes them.
//!
//! `SAMPAN_MERGE_STORIES` names a file of them; without it some of them that are kept here are told.

use std::collections::BTreeMap;

use kube_api::{
    ownership::{Kind, NotApplied, Owners, Reach, Writer, apply, update},
    schema::{Gvk, Schemas},
};
use serde_json::{Value, json};

const META: &str = "group meta v1 meta\n";
const CORE: &str = "group core v1 core\n";
/// The same as in the program that writes the stories, as ours are written.
const THINGS: &str = "\
group things v1 things

kind Thing: What stories are told of.
  number 1 int32?
  text 2 string
  labels 3 {string}
  chosen 4 {string} atomic
  inner 5 Inner?
  names 6 [string] set
  order 7 [string]
  parts 8 [Part] by name,kind

type Inner: A part.
  a 1 string
  b 2 int32
  deep 3 {string}

type Part: An element of a list.
  name 1 string!
  kind 2 string = \"x\"
  value 3 int32
  names 4 [string] set
  inner 5 Inner?
";

#[test]
fn stories_are_told_as_kubernetes_tells_them() {
    let schemas = Schemas::read(&[META, CORE, THINGS]).expect("they are right");
    let root = schemas.kind_id(&Gvk::of("things/v1", "Thing")).expect("it is there");
    let kind = Kind { schemas: &schemas, root };
    let stories = match std::env::var_os("SAMPAN_MERGE_STORIES") {
        Some(file) => std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())),
        None => include_str!("merge.jsonl").to_owned(),
    };
    let (mut told, mut wrong) = (0, Vec::new());
    for (number, line) in stories.lines().enumerate() {
        let steps: Vec<Value> = serde_json::from_str(line).expect("a story is a line of JSON");
        told += steps.len();
        if let Err((step, why)) = tell(kind, &steps) {
            wrong.push(format!("line {}, step {step}: {why}", number + 1));
        }
    }
    assert!(told > 0, "there are no stories");
    assert!(
        wrong.is_empty(),
        "{} of {} stories: {}",
        wrong.len(),
        stories.lines().count(),
        wrong[..wrong.len().min(3)].join("\n")
    );
}

fn tell(kind: Kind<'_>, steps: &[Value]) -> Result<(), (usize, String)> {
    let mut live = json!({});
    for (number, step) in steps.iter().enumerate() {
        let outcome = take(kind, &live, step, number == 0);
        let expected = match step["conflicts"].as_array() {
            Some(conflicts) => Err(conflicts.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()),
            None => Ok((tidy(&step["becomes"]), owners_of(&step["owners"]))),
        };
        let said = outcome.clone().map(|(object, owners)| (tidy(&object), as_told(&owners)));
        if said != expected {
            let before = format!("before: {live}\nowners: {}", live["metadata"]["managedFields"]);
            return Err((number, format!("{step}\n{before}\n{said:#?}\ninstead of\n{expected:#?}")));
        }
        if let Ok((object, owners)) = outcome {
            live = object;
            remove_nulls(&mut live);
            owners.put_into(&mut live);
        }
    }
    Ok(())
}

fn take(kind: Kind<'_>, live: &Value, step: &Value, first: bool) -> Result<(Value, Owners), Vec<String>> {
    let writer = Writer {
        manager: step["manager"].as_str().expect("somebody writes").to_owned(),
        api_version: "v1".to_owned(),
        subresource: String::new(),
        now: String::new(),
        reach: Reach::All,
    };
    if step["apply"] == true {
        return apply(kind, live, &step["object"], &writer, step["force"] == true).map_err(|error| match error {
            NotApplied::Conflicts(conflicts) => {
                // The name alone, without what Kubernetes says of writers that are no appliers.
                let name = |called: &str| called.split('"').nth(1).unwrap_or_default().to_owned();
                let mut said: Vec<_> = conflicts
                    .iter()
                    .map(|conflict| format!("{} {}", name(&conflict.manager), conflict.field))
                    .collect();
                said.sort();
                said
            }
            other => vec![other.to_string()],
        });
    }
    let owners = Owners::of(live).expect("they are ours");
    let before = (!first).then_some(live);
    match update(kind, before, &step["object"], owners, &writer) {
        Ok(owners) => Ok((step["object"].clone(), owners)),
        Err(error) => Err(vec![error.to_string()]),
    }
}

/// Without what says who owns it, and without nulls, which say nothing in an object that is kept.
fn tidy(object: &Value) -> Value {
    let mut object = object.clone();
    remove_nulls(&mut object);
    if let Some(fields) = object.as_object_mut() {
        fields.remove("metadata");
    }
    object
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

fn as_told(owners: &Owners) -> BTreeMap<String, Value> {
    owners.entries().iter().map(|entry| (entry.manager.clone(), entry.fields.written())).collect()
}

fn owners_of(told: &Value) -> BTreeMap<String, Value> {
    told.as_object().into_iter().flatten().map(|(name, fields)| (name.clone(), fields.clone())).collect()
}
