//! The fields that an object sets.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    place::{Place, Unmergeable},
    set::FieldSet,
    step::Step,
};

/// The fields that a value sets at its place.
pub(super) fn fields_of(value: &Value, place: Place<'_>) -> Result<FieldSet, Unmergeable> {
    let mut set = FieldSet::default();
    collect(value, place, &mut Vec::new(), &mut set)?;
    Ok(set)
}

fn collect(value: &Value, place: Place<'_>, path: &mut Vec<Step>, set: &mut FieldSet) -> Result<(), Unmergeable> {
    match (place, value) {
        (Place::Fields(..) | Place::Map(..), Value::Object(fields)) => {
            for (name, value) in fields {
                let below = place.below(name);
                path.push(Step::Field(name.clone()));
                collect(value, below.place, path, set)?;
                // Whoever writes nothing, or a key of a map, owns that it is so.
                if !below.named || value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        (Place::Keyed(..) | Place::Set, Value::Array(list)) => {
            let mut counted: BTreeMap<Step, Vec<&Value>> = BTreeMap::new();
            for (step, element) in place.elements(list, path)? {
                counted.entry(step).or_default().push(element);
            }
            for (step, elements) in counted {
                path.push(step);
                // Of elements that are there several times nobody owns a part.
                if let [element] = elements[..] {
                    collect(element, place.element(), path, set)?;
                }
                set.insert(path);
                path.pop();
            }
        }
        (Place::Fields(..) | Place::Map(..) | Place::Keyed(..) | Place::Set, Value::Null) => {}
        _ => set.insert(path),
    }
    Ok(())
}

/// The set, and in it each field that a type names and below which something is in it.
pub(super) fn with_named(set: &FieldSet, place: Place<'_>) -> FieldSet {
    FieldSet::from_steps(set.steps().map(|(step, member, below)| {
        let (named, next) = match step {
            Step::Field(name) => {
                let below = place.below(name);
                (below.named, below.place)
            }
            _ => (false, place.element()),
        };
        (step.clone(), member || (named && !below.is_empty()), with_named(below, next))
    }))
}
