//! Label and field selectors.

use serde_json::Value;

use super::{error::ApiError, params::Params};

/// Most requirements of one selector.
const MAX_REQUIREMENTS: usize = 64;

/// Which objects of a collection are meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, Comparison, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// Fields that may be selected by; where an object has none, it counts as empty.
const FIELDS: &[(&str, &str)] = &[
    ("metadata.name", "/metadata/name"),
    ("metadata.namespace", "/metadata/namespace"),
    ("spec.nodeName", "/spec/nodeName"),
    ("status.phase", "/status/phase"),
    ("type", "/type"),
    ("reason", "/reason"),
    ("involvedObject.kind", "/involvedObject/kind"),
    ("involvedObject.name", "/involvedObject/name"),
    ("involvedObject.namespace", "/involvedObject/namespace"),
    ("involvedObject.uid", "/involvedObject/uid"),
    ("involvedObject.apiVersion", "/involvedObject/apiVersion"),
    ("involvedObject.fieldPath", "/involvedObject/fieldPath"),
    ("involvedObject.resourceVersion", "/involvedObject/resourceVersion"),
];

impl Selector {
    pub(super) fn of(params: &Params) -> Result<Self, ApiError> {
        let labels = split(params.label_selector()).into_iter().map(parse_requirement).collect::<Result<Vec<_>, _>>();
        let fields = split(params.field_selector()).into_iter().map(parse_field).collect::<Result<Vec<_>, _>>();
        let selector = Self { labels: labels?, fields: fields? };
        if selector.labels.len() + selector.fields.len() > MAX_REQUIREMENTS {
            return Err(ApiError::BadRequest(format!("a selector has at most {MAX_REQUIREMENTS} requirements")));
        }
        Ok(selector)
    }

    /// Of the same objects the one with this name.
    pub(super) fn and_name(mut self, name: &str) -> Self {
        self.fields.push(("/metadata/name".to_owned(), Comparison::Equal, name.to_owned()));
        self
    }

    /// Whether every object is meant.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let label = |key: &str| labels[key].as_str();
        let holds = |requirement: &Requirement| match requirement {
            Requirement::In(key, values) => label(key).is_some_and(|label| values.iter().any(|value| value == label)),
            Requirement::NotIn(key, values) => {
                !label(key).is_some_and(|label| values.iter().any(|value| value == label))
            }
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
        };
        let equal = |(pointer, comparison, wanted): &(String, Comparison, String)| {
            let held = object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            (held == wanted) == (*comparison == Comparison::Equal)
        };
        self.labels.iter().all(holds) && self.fields.iter().all(equal)
    }
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
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn parse_requirement(text: &str) -> Result<Requirement, ApiError> {
    let wrong = || ApiError::BadRequest(format!("unable to parse requirement `{text}` of the label selector"));
    let key = |key: &str| match key.trim() {
        "" => Err(wrong()),
        key if key.contains(char::is_whitespace) || key.contains(['(', ')', '!', '=']) => Err(wrong()),
        key => Ok(key.to_owned()),
    };
    if let Some(list) = text.strip_suffix(')') {
        let (start, values) = list.split_once('(').ok_or_else(wrong)?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (name, operator) = start.trim().rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
        return match operator {
            "in" => Ok(Requirement::In(key(name)?, values)),
            "notin" => Ok(Requirement::NotIn(key(name)?, values)),
            _ => Err(wrong()),
        };
    }
    if let Some((name, value)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(key(name)?, vec![value.trim().to_owned()]));
    }
    if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement::In(key(name)?, vec![value.trim().to_owned()]));
    }
    match text.strip_prefix('!') {
        Some(name) => Ok(Requirement::Absent(key(name)?)),
        None => Ok(Requirement::Exists(key(text)?)),
    }
}

fn parse_field(text: &str) -> Result<(String, Comparison, String), ApiError> {
    let (name, comparison, value) = match (text.split_once("!="), text.split_once("=="), text.split_once('=')) {
        (Some((name, value)), _, _) => (name, Comparison::Unequal, value),
        (_, Some((name, value)), _) | (_, _, Some((name, value))) => (name, Comparison::Equal, value),
        _ => {
            return Err(ApiError::BadRequest(format!(
                "unable to parse `{text}` of the field selector: write FIELD=VALUE"
            )));
        }
    };
    let Some((_, pointer)) = FIELDS.iter().find(|(known, _)| *known == name.trim()) else {
        let known: Vec<_> = FIELDS.iter().map(|(known, _)| *known).collect();
        let message = format!("field label not supported: {name}; these are: {}", known.join(", "));
        return Err(ApiError::BadRequest(message));
    };
    Ok(((*pointer).to_owned(), comparison, value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(labels: &str, fields: &str) -> bool {
        let query = format!("/?labelSelector={}&fieldSelector={}", labels.replace(' ', "%20"), fields);
        let params = Params::of(&query.parse().unwrap()).unwrap();
        let object = json!({ "metadata": { "name": "a", "labels": { "app": "x", "tier": "front" } }, "status": { "phase": "Running" } });
        Selector::of(&params).unwrap().matches(&object)
    }

    #[test]
    fn labels_are_selected_in_every_way_that_kubernetes_knows() {
        for yes in
            ["", "app=x", "app==x", "app!=y", "app", "!other", "app in (x, y)", "tier notin (a,b),app=x", "other!=z"]
        {
            assert!(matches(yes, ""), "{yes}");
        }
        for no in ["app=y", "other", "!app", "app in (y,z)", "app notin (x)", "app=x,tier=back"] {
            assert!(!matches(no, ""), "{no}");
        }
    }

    #[test]
    fn fields_are_selected_and_unknown_ones_refused() {
        assert!(matches("", "metadata.name=a,status.phase!=Pending"));
        assert!(!matches("", "metadata.name=b"));
        assert!(!matches("", "spec.nodeName=n"));
        let params = Params::of(&"/?fieldSelector=spec.foo=1".parse().unwrap()).unwrap();
        assert!(Selector::of(&params).is_err());
        let params = Params::of(&"/?labelSelector=a%20b".parse().unwrap()).unwrap();
        assert!(Selector::of(&params).is_err());
    }
}
