use std::{borrow::Cow, cmp::Ordering};

use serde_json::{Value, json};

use super::parse::{Comparison, Filter, Node, Slice};

type Found<'a> = Vec<Cow<'a, Value>>;

/// Whether each `range` has its `end`.
pub(super) fn check_ranges(nodes: &[Node]) -> Result<(), String> {
    let mut open = 0_usize;
    for node in nodes {
        match kind(node) {
            Some(Node::Range) => open += 1,
            Some(Node::End) => open = open.checked_sub(1).ok_or("{end} without {range ...} before it")?,
            _ => {}
        }
    }
    if open > 0 { Err("{range ...} without {end}".to_owned()) } else { Ok(()) }
}

/// `range` or `end`, if the action is one.
fn kind(node: &Node) -> Option<&Node> {
    let Node::Action(steps) = node else { return None };
    steps.first().filter(|first| matches!(first, Node::Range | Node::End))
}

/// What each text and each action finds, those of a range for each round anew.
pub(super) fn results<'a>(nodes: &[Node], value: &'a Value) -> Result<Vec<Found<'a>>, String> {
    let mut results = Vec::new();
    run(nodes, Cow::Borrowed(value), &mut results)?;
    Ok(results)
}

fn run<'a>(nodes: &[Node], value: Cow<'a, Value>, results: &mut Vec<Found<'a>>) -> Result<(), String> {
    let mut at = 0;
    while let Some(node) = nodes.get(at) {
        at += 1;
        match (node, kind(node)) {
            (_, Some(Node::End)) => {}
            (Node::Action(steps), Some(_)) => {
                let end = at + end_of(&nodes[at..]);
                for item in walk(&steps[1..], vec![value.clone()])? {
                    run(&nodes[at..end], item, results)?;
                }
                at = end;
            }
            (Node::Action(steps), None) => results.push(walk(steps, vec![value.clone()])?),
            (other, _) => results.push(walk(std::slice::from_ref(other), vec![value.clone()])?),
        }
    }
    Ok(())
}

/// Where the range ends in whose inside these nodes begin.
fn end_of(nodes: &[Node]) -> usize {
    let mut depth = 0_usize;
    let end = nodes.iter().position(|node| match kind(node) {
        Some(Node::Range) => {
            depth += 1;
            false
        }
        Some(_) if depth == 0 => true,
        Some(_) => {
            depth -= 1;
            false
        }
        None => false,
    });
    end.unwrap_or(nodes.len())
}

fn walk<'a>(steps: &[Node], from: Found<'a>) -> Result<Found<'a>, String> {
    steps.iter().try_fold(from, |found, step| take(step, found))
}

fn take<'a>(step: &Node, from: Found<'a>) -> Result<Found<'a>, String> {
    Ok(match step {
        Node::Action(steps) => walk(steps, from)?,
        Node::Text(text) => vec![Cow::Owned(json!(text))],
        Node::Int(number) => vec![Cow::Owned(json!(number))],
        Node::Float(number) => vec![Cow::Owned(json!(number))],
        Node::Bool(value) => vec![Cow::Owned(json!(value))],
        Node::Field(name) => from.into_iter().filter_map(|value| child(value, name)).collect(),
        Node::Wildcard => from.into_iter().flat_map(children).collect(),
        Node::Descent => from.into_iter().flat_map(descent).collect(),
        Node::Slice(slice) => {
            let mut found = Vec::new();
            for value in from.into_iter().filter(|value| !value.is_null()) {
                found.extend(sliced(*slice, value)?);
            }
            found
        }
        Node::Filter(filter) => {
            let mut found = Vec::new();
            for value in from.into_iter().filter(|value| !value.is_null()) {
                found.extend(filtered(filter, value)?);
            }
            found
        }
        Node::Union(parts) => {
            let found = parts.iter().map(|part| walk(part, from.clone()));
            found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
        }
        Node::Range | Node::End => return Err("range and end stand at the beginning of their braces".to_owned()),
    })
}

fn child<'a>(value: Cow<'a, Value>, name: &str) -> Option<Cow<'a, Value>> {
    match value {
        Cow::Borrowed(value) => value.as_object()?.get(name).map(Cow::Borrowed),
        Cow::Owned(value) => value.as_object()?.get(name).cloned().map(Cow::Owned),
    }
}

fn children(value: Cow<'_, Value>) -> Found<'_> {
    match value {
        Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Borrowed(Value::Object(fields)) => fields.values().map(Cow::Borrowed).collect(),
        Cow::Owned(Value::Array(items)) => items.into_iter().map(Cow::Owned).collect(),
        Cow::Owned(Value::Object(fields)) => fields.into_iter().map(|(_, value)| Cow::Owned(value)).collect(),
        _ => Vec::new(),
    }
}

/// All that holds something, from the outside in.
fn descent(value: Cow<'_, Value>) -> Found<'_> {
    let below = children(value.clone());
    if below.is_empty() {
        return Vec::new();
    }
    std::iter::once(value).chain(below.into_iter().flat_map(descent)).collect()
}

fn items(value: Cow<'_, Value>) -> Result<Found<'_>, String> {
    if value.is_array() {
        return Ok(children(value));
    }
    let what = match value.as_ref() {
        Value::Object(_) => "map",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Array(_) | Value::Null => "nothing",
    };
    Err(format!("{what} is not array or slice"))
}

fn sliced(slice: Slice, value: Cow<'_, Value>) -> Result<Found<'_>, String> {
    let items = items(value)?;
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let from_end = |place: i64| if place < 0 { place.saturating_add(length) } else { place };
    let from = from_end(slice.from.unwrap_or(0));
    let to = if slice.is_index { from.saturating_add(1) } else { from_end(slice.to.unwrap_or(length)) };
    if from == to {
        return Ok(Vec::new());
    }
    if from < 0 || from >= length {
        return Err(format!("array index out of bounds: index {from}, length {length}"));
    }
    if to < 0 || to > length {
        return Err(format!("array index out of bounds: index {}, length {length}", to - 1));
    }
    if from > to {
        return Err(format!("starting index {from} is greater than ending index {to}"));
    }
    let step = usize::try_from(slice.step.unwrap_or(1)).ok().filter(|step| *step > 0).ok_or("step must be > 0")?;
    let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0));
    Ok(items.into_iter().take(to).skip(from).step_by(step).collect())
}

fn filtered<'a>(filter: &Filter, value: Cow<'a, Value>) -> Result<Found<'a>, String> {
    let mut found = Vec::new();
    for item in items(value)? {
        let left = walk(&filter.left, vec![item.clone()]);
        let passes = match &filter.comparison {
            None => left.is_ok_and(|left| !left.is_empty()),
            Some((how, right)) => match (one(left?)?, one(walk(right, vec![item.clone()])?)?) {
                (Some(left), Some(right)) => compare(*how, &left, &right)?,
                _ => false,
            },
        };
        if passes {
            found.push(item);
        }
    }
    Ok(found)
}

fn one(found: Found<'_>) -> Result<Option<Cow<'_, Value>>, String> {
    match found.len() {
        0 | 1 => Ok(found.into_iter().next()),
        _ => Err("can only compare one element at a time".to_owned()),
    }
}

fn compare(how: Comparison, left: &Value, right: &Value) -> Result<bool, String> {
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) if left.is_f64() == right.is_f64() => {
            let whole = left.as_i64().zip(right.as_i64()).map(|(left, right)| left.cmp(&right));
            let float = left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right));
            whole.or(float).unwrap_or(Ordering::Equal)
        }
        (Value::Bool(left), Value::Bool(right)) if matches!(how, Comparison::Equal | Comparison::NotEqual) => {
            left.cmp(right)
        }
        (Value::Bool(_), Value::Bool(_)) => return Err("invalid type for comparison".to_owned()),
        _ => return Err(format!("incompatible types for comparison: {left} and {right}")),
    };
    Ok(match how {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}
