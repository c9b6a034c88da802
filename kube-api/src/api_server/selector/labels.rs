//! Label selectors: requirements joined by commas, by the grammar of Kubernetes (`k8s.io/apimachinery/pkg/labels`).

use std::collections::HashSet;

use serde_json::Value;

use crate::fields::{is_label_value, is_qualified_name};

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Requirement {
    In(String, HashSet<String>),
    NotIn(String, HashSet<String>),
    Exists(String),
    Absent(String),
    /// The label is a whole number above this one.
    Above(String, i64),
    /// The label is a whole number below this one.
    Below(String, i64),
}

impl Requirement {
    /// Whether an object with these labels meets it.
    pub(super) fn holds(&self, labels: &Value) -> bool {
        let label = |key: &str| labels[key].as_str();
        let number = |key: &str| label(key).and_then(|label| label.parse::<i64>().ok());
        match self {
            Self::In(key, values) => label(key).is_some_and(|label| values.contains(label)),
            Self::NotIn(key, values) => !label(key).is_some_and(|label| values.contains(label)),
            Self::Exists(key) => label(key).is_some(),
            Self::Absent(key) => label(key).is_none(),
            Self::Above(key, limit) => number(key).is_some_and(|number| number > *limit),
            Self::Below(key, limit) => number(key).is_some_and(|number| number < *limit),
        }
    }
}

/// Reads a label selector; fails with what is wrong.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    split(text).into_iter().map(parse_requirement).collect()
}

/// Splits at commas that do not stand in parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).collect()
}

fn parse_requirement(text: &str) -> Result<Requirement, String> {
    let wrong = || format!("unable to parse requirement `{text}` of the label selector");
    let key = |key: &str| match key.trim() {
        key if is_qualified_name(key) => Ok(key.to_owned()),
        key => Err(format!("{}: `{key}` is not a label's name", wrong())),
    };
    let value = |value: &str| match value.trim() {
        value if is_label_value(value) => Ok(value.to_owned()),
        value => Err(format!("{}: `{value}` is not a label's value", wrong())),
    };
    let whole = |value: &str| {
        value.trim().parse::<i64>().map_err(|_| {
            format!("{}: for `>` and `<` the value must be an integer, and `{}` is none", wrong(), value.trim())
        })
    };
    if let Some(list) = text.strip_suffix(')') {
        let (start, values) = list.split_once('(').ok_or_else(wrong)?;
        let values = values.split(',').map(value).collect::<Result<_, _>>()?;
        let (name, operator) = start.trim().rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
        return match operator {
            "in" => Ok(Requirement::In(key(name)?, values)),
            "notin" => Ok(Requirement::NotIn(key(name)?, values)),
            _ => Err(wrong()),
        };
    }
    if let Some(name) = text.strip_prefix('!') {
        return Ok(Requirement::Absent(key(name)?));
    }
    let Some(at) = text.find(['=', '!', '<', '>']) else { return Ok(Requirement::Exists(key(text)?)) };
    let (name, operator) = text.split_at(at);
    match operator.as_bytes() {
        [b'!', b'=', ..] => Ok(Requirement::NotIn(key(name)?, HashSet::from([value(&operator[2..])?]))),
        [b'=', b'=', ..] => Ok(Requirement::In(key(name)?, HashSet::from([value(&operator[2..])?]))),
        [b'=', ..] => Ok(Requirement::In(key(name)?, HashSet::from([value(&operator[1..])?]))),
        [b'>', ..] => Ok(Requirement::Above(key(name)?, whole(&operator[1..])?)),
        [b'<', ..] => Ok(Requirement::Below(key(name)?, whole(&operator[1..])?)),
        _ => Err(wrong()),
    }
}
