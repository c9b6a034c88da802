//! Field selectors: `FIELD=VALUE`, `FIELD==VALUE` and `FIELD!=VALUE`, joined by commas. In values `\`, `,` and `=` are
//! written with a `\` before them.

use std::borrow::Cow;

use serde_json::Value;

use crate::resources::{Resource, Selectable, selectable};

const NAME: Selectable = Selectable { label: "metadata.name", pointers: &["/metadata/name"], absent: "" };

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldTerm {
    field: Selectable,
    equal: bool,
    wanted: String,
}

impl FieldTerm {
    /// Meets the object with this name.
    pub(super) fn name(name: &str) -> Self {
        Self { field: NAME, equal: true, wanted: name.to_owned() }
    }

    pub(super) fn holds(&self, object: &Value) -> bool {
        let mut held = self.field.pointers.iter().filter_map(|pointer| text(object.pointer(pointer)?));
        let held = held.find(|text| !text.is_empty()).unwrap_or(Cow::Borrowed(self.field.absent));
        (held == self.wanted.as_str()) == self.equal
    }
}

/// Reads a field selector for objects of a kind; fails with what is wrong. Empty parts say nothing, as in Kubernetes.
pub(super) fn parse(text: &str, resource: &Resource) -> Result<Vec<FieldTerm>, String> {
    let parts = split(text);
    parts.into_iter().filter(|part| !part.trim().is_empty()).map(|part| parse_term(part, resource)).collect()
}

fn parse_term(text: &str, resource: &Resource) -> Result<FieldTerm, String> {
    let Some((label, equal, value)) = split_term(text) else {
        return Err(format!("invalid field selector: unable to parse `{text}`: write FIELD=VALUE"));
    };
    let known = selectable(resource);
    let label = label.trim();
    let Some(field) = known.iter().find(|known| known.label == label) else {
        let known: Vec<_> = known.iter().map(|known| known.label).collect();
        return Err(format!(
            "field label not supported: {label}; {} are selected by {}",
            resource.plural,
            known.join(", ")
        ));
    };
    Ok(FieldTerm { field: *field, equal, wanted: unescape(value.trim())? })
}

/// Splits at commas that no `\` stands before.
fn split(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(|c: char| {
        let separates = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        separates
    })
    .collect()
}

/// At the first operator; `==` and `!=` go before `=`.
fn split_term(text: &str) -> Option<(&str, bool, &str)> {
    let at = text.find('=')?;
    let before = &text[..at];
    match before.strip_suffix('!') {
        Some(label) => Some((label, false, &text[at + 1..])),
        None => Some((before, true, text[at + 1..].strip_prefix('=').unwrap_or(&text[at + 1..]))),
    }
}

fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match (c, if c == '\\' { rest.next() } else { None }) {
            ('\\', Some(escaped @ ('\\' | ',' | '='))) => plain.push(escaped),
            ('\\', _) | (',' | '=', _) => {
                return Err(format!(
                    "invalid field selector: `{value}`: write `\\` before `\\`, `,` and `=` in values"
                ));
            }
            (c, _) => plain.push(c),
        }
    }
    Ok(plain)
}

/// A value as selectors compare it.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(_) | Value::Number(_) => Some(Cow::Owned(value.to_string())),
        _ => None,
    }
}
