//! What is applied, put into what is there.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{
    place::{Place, Unmergeable, first_twice, written},
    step::Step,
};

/// What is there, with what is applied in it.
pub(super) fn merge(live: &Value, applied: &Value, place: Place<'_>) -> Result<Value, Unmergeable> {
    let merged = merge_at(Some(live), Some(applied), place, &mut Vec::new())?;
    Ok(merged.unwrap_or_else(|| Value::Object(Map::new())))
}

fn merge_at(
    live: Option<&Value>,
    applied: Option<&Value>,
    place: Place<'_>,
    path: &mut Vec<Step>,
) -> Result<Option<Value>, Unmergeable> {
    let Some(applied) = applied else { return Ok(live.cloned()) };
    match (place, applied) {
        (Place::Fields(..) | Place::Map(..), Value::Object(applied)) => {
            let nothing = Map::new();
            let live = live.and_then(Value::as_object).unwrap_or(&nothing);
            let mut merged = Map::new();
            let names: Vec<_> =
                live.keys().chain(applied.keys().filter(|name| !live.contains_key(name.as_str()))).collect();
            for name in names {
                path.push(Step::Field(name.clone()));
                if let Some(value) = merge_at(live.get(name), applied.get(name), place.below(name).place, path)? {
                    merged.insert(name.clone(), value);
                }
                path.pop();
            }
            Ok(Some(Value::Object(merged)))
        }
        (Place::Keyed(..) | Place::Set, Value::Array(applied)) => {
            let live = live.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            merge_lists(live, applied, place, path).map(|list| Some(Value::Array(list)))
        }
        _ => Ok(Some(applied.clone())),
    }
}

/// What both have is in the order in which it is applied, what is there alone stays before what came after it.
fn merge_lists(
    live: &[Value],
    applied: &[Value],
    place: Place<'_>,
    path: &mut Vec<Step>,
) -> Result<Vec<Value>, Unmergeable> {
    let live = place.elements(live, path)?;
    let applied = place.elements(applied, path)?;
    if let Some(twice) = first_twice(&applied) {
        let why = format!("the element {twice} is there twice: remove one of them");
        return Err(Unmergeable { path: written(path), why });
    }
    let of_applied: HashSet<&Step> = applied.iter().map(|(step, _)| step).collect();
    let mut of_live: HashMap<&Step, Option<&Value>> = HashMap::new();
    for (step, element) in &live {
        // Which of several is meant nobody knows.
        of_live.entry(step).and_modify(|found| *found = None).or_insert(Some(element));
    }
    let mut merged = Vec::with_capacity(live.len().max(applied.len()));
    let mut rest = live.iter().peekable();
    let mut both = applied.iter().map(|(step, _)| step).filter(|step| of_live.contains_key(step)).peekable();
    for (step, element) in &applied {
        while let Some((there, value)) = rest.next_if(|(there, _)| both.peek().is_none_or(|next| there != *next)) {
            if !of_applied.contains(there) {
                merged.push((*value).clone());
            }
        }
        path.push(step.clone());
        let live = of_live.get(step).copied().flatten();
        merged.extend(merge_at(live, Some(element), place.element(), path)?);
        path.pop();
        if both.next_if(|next| *next == step).is_some() {
            rest.next_if(|(there, _)| there == step);
        }
    }
    merged.extend(rest.filter(|(there, _)| !of_applied.contains(there)).map(|(_, value)| (*value).clone()));
    Ok(merged)
}
