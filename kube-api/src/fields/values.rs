//! Checks of single values: which words a field knows, how names look, how large numbers may be. As Kubernetes checks them,
//! also where the value changes nothing here: what is taken here can be taken to another cluster.

use serde_json::Value;

use super::{
    field::{Cause, FieldError},
    labels::{is_label_value, is_qualified_name},
};

/// As Kubernetes: the longest name of a port, and of a key of a ConfigMap or Secret.
const MAX_PORT_NAME: usize = 15;
const MAX_KEY: usize = 253;

/// What a value is to be like. One that is absent is always right, and so is an empty text where it says nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number from the first to the second.
    Between(i64, i64),
    /// A number that is not negative, or a percentage up to 100.
    Share,
    /// The name of a port, where it is a text.
    PortName,
    /// A DNS label.
    Label,
    /// The name of an object: a DNS subdomain.
    ObjectName,
    /// The same, and an empty one is none.
    GivenObjectName,
    /// The name of a Service.
    ServiceName,
    /// A key of a ConfigMap or Secret.
    Key,
    /// A name, after an optional DNS name and `/`.
    QualifiedName,
    /// The value of a label.
    LabelValue,
    /// What a variable's name may start with.
    Prefix,
    /// It has to be there wherever what holds it is.
    Present,
}

/// Forms by path, with `[]` for every element of a list.
pub(crate) type Forms = &'static [(&'static str, Form)];

/// Everything in an object that is not as these forms say.
pub(crate) fn check(object: &Value, forms: Forms) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (pattern, form) in forms {
        walk(object, pattern, "", &mut |path, value| errors.extend(form.check(path, value)));
    }
    errors
}

/// Calls `visit` for every place that a pattern leads to, also where nothing stands at its last field.
pub(crate) fn walk<'v>(value: &'v Value, pattern: &str, path: &str, visit: &mut dyn FnMut(&str, &'v Value)) {
    let (step, rest) = pattern.split_once('.').map_or((pattern, None), |(step, rest)| (step, Some(rest)));
    if !value.is_object() {
        return;
    }
    let (field, is_list) = step.strip_suffix("[]").map_or((step, false), |field| (field, true));
    let below = if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
    let found = &value[field];
    let mut go_on = |path: &str, value: &'v Value| match rest {
        Some(rest) => walk(value, rest, path, visit),
        None => visit(path, value),
    };
    if !is_list {
        return go_on(&below, found);
    }
    for (index, element) in found.as_array().into_iter().flatten().enumerate() {
        go_on(&format!("{below}[{index}]"), element);
    }
}

impl Form {
    fn check(self, path: &str, value: &Value) -> Option<FieldError> {
        let text = value.as_str().unwrap_or_default();
        let says_nothing = value.is_null() || (value.is_string() && text.is_empty());
        if says_nothing && matches!(self, Self::Present) {
            return Some(FieldError::required(path, "is missing"));
        }
        if says_nothing && !(value.is_string() && matches!(self, Self::GivenObjectName)) {
            return None;
        }
        let (right, wanted) = match self {
            Self::OneOf(words) => {
                let message = || format!("`{text}` is not known: write `{}`", words.join("` or `"));
                return (!words.contains(&text)).then(|| FieldError::new(Cause::NotSupported, path, message()));
            }
            Self::Between(least, most) => {
                let right = value.as_i64().is_some_and(|number| (least..=most).contains(&number));
                let message = || format!("{value} is out of range: use {least} to {most}");
                return (!right).then(|| FieldError::invalid(path, message()));
            }
            Self::Share => {
                let message = || format!("{value} is neither a count nor a percentage up to 100%: write `1` or `25%`");
                return (!is_share(value)).then(|| FieldError::invalid(path, message()));
            }
            Self::PortName => (
                !value.is_string() || is_port_name(text),
                "a port's name: use up to 15 lower-case letters, digits and `-`, with a letter among them, and no `-` at an \
                 end or beside another",
            ),
            Self::Label => (api::check_dns_label(text).is_ok(), "a DNS label: use lower-case letters, digits and `-`"),
            Self::ObjectName | Self::GivenObjectName => (
                api::check_dns_subdomain(text).is_ok(),
                "an object's name: use lower-case letters, digits, `-` and `.`",
            ),
            Self::ServiceName => (
                api::check_dns_label(text).is_ok() && text.starts_with(|c: char| c.is_ascii_lowercase()),
                "a Service's name: use lower-case letters, digits and `-`, a letter first",
            ),
            Self::Key => (is_key(text), "a key: use letters, digits, `-`, `_` and `.`, and no `..` at the start"),
            Self::QualifiedName => (
                is_qualified_name(text),
                "a label's name: use up to 63 letters, digits, `-`, `_` and `.`, after an optional DNS name and `/`",
            ),
            Self::LabelValue => {
                (is_label_value(text), "a label's value: use up to 63 letters, digits, `-`, `_` and `.`")
            }
            Self::Prefix => (
                text.bytes().all(|b| (b.is_ascii_graphic() || b == b' ') && b != b'='),
                "the start of a variable's name: use printable ASCII without `=`",
            ),
            Self::Present => return None,
        };
        (!right).then(|| FieldError::invalid(path, format!("`{text}` is not {wanted}")))
    }
}

/// Whether a text can be a key of a ConfigMap or Secret, which Kubernetes makes files of.
pub(crate) fn is_key(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(allowed) && text != "." && !text.starts_with("..")
}

/// Whether a text can be the name of a port (RFC 6335, section 5.1, in lower case).
fn is_port_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=MAX_PORT_NAME).contains(&text.len())
        && text.bytes().all(allowed)
        && text.bytes().any(|b| b.is_ascii_lowercase())
        && !(text.starts_with('-') || text.ends_with('-') || text.contains("--"))
}

fn is_share(value: &Value) -> bool {
    match (value.as_i64(), value.as_str()) {
        (Some(count), _) => count >= 0,
        (_, Some(text)) => {
            let number = text.strip_suffix('%').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
            number.and_then(|digits| digits.parse::<u32>().ok()).is_some_and(|share| share <= 100)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_wherever_a_pattern_leads() {
        let object = json!({ "a": [ { "b": "x" }, { "b": "y" }, {} ], "c": { "d": [ "x", "y" ] } });
        let wrong = |forms| check(&object, forms).into_iter().map(|error| error.path).collect::<Vec<_>>();
        assert_eq!(wrong(&[("a[].b", Form::OneOf(&["x"]))]), ["a[1].b"]);
        assert_eq!(wrong(&[("c.d[]", Form::OneOf(&["y"]))]), ["c.d[0]"]);
        assert_eq!(wrong(&[("a[].b", Form::Present), ("e.f", Form::Present)]), ["a[2].b"]);
    }

    #[test]
    fn names_and_shares_are_as_kubernetes_has_them() {
        let right = |form: Form, value: Value| form.check("p", &value).is_none();
        for name in ["http", "a", "8a", "a-b", "abcdefghijklmno"] {
            assert!(right(Form::PortName, json!(name)), "{name}");
        }
        for name in ["80", "HTTP", "-a", "a-", "a--b", "abcdefghijklmnop", "a_b"] {
            assert!(!right(Form::PortName, json!(name)), "{name}");
        }
        for (share, is_one) in
            [("0%", true), ("100%", true), ("101%", false), ("-1%", false), ("1", false), ("%", false)]
        {
            assert_eq!(right(Form::Share, json!(share)), is_one, "{share}");
        }
        assert!(right(Form::Share, json!(0)) && !right(Form::Share, json!(-1)));
        for key in [".", "..", "..a", "a b", ""] {
            assert!(!is_key(key), "{key}");
        }
        assert!(is_key(".a") && is_key("a..b") && is_key("_"));
        assert!(!right(Form::ServiceName, json!("1a")) && right(Form::ServiceName, json!("a1")));
        assert!(right(Form::ObjectName, json!("")) && !right(Form::GivenObjectName, json!("")));
    }
}
