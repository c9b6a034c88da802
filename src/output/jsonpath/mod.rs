//! Templates in Kubernetes' dialect of JSONPath, as `kubectl -o jsonpath` takes them.
//!
//! The dialect is older than RFC 9535 and apart from it: text around actions in braces, `range` and `end`, `\.` within names,
//! paths on both sides of a comparison, a filter in a filter. Libraries for the RFC know none of these.

mod evaluate;
mod parse;

use std::{borrow::Cow, str::FromStr};

use serde_json::Value;

use super::go;
use parse::Node;

/// A template: text, and what is picked out of a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPath(Vec<Node>);

impl FromStr for JsonPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains('{') {
            return Err(format!(
                "`{text}` would print itself: what is picked stands in braces, such as '{{.metadata.name}}'"
            ));
        }
        let nodes = parse::template(text).map_err(|why| format!("`{text}`: {why}"))?;
        evaluate::check_ranges(&nodes).map_err(|why| format!("`{text}`: {why}"))?;
        Ok(Self(nodes))
    }
}

impl JsonPath {
    /// What the template makes of a value.
    ///
    /// # Errors
    /// An index is not there, something that is no list is taken for one, or values cannot be compared.
    pub(super) fn text(&self, value: &Value) -> anyhow::Result<String> {
        let texts = evaluate::results(&self.0, value).map_err(anyhow::Error::msg)?;
        let printed = |found: &[Cow<'_, Value>]| found.iter().map(|value| printed(value)).collect::<Vec<_>>().join(" ");
        Ok(texts.iter().map(|found| printed(found)).collect())
    }

    /// What is found by its first action.
    pub(super) fn find<'a>(&self, value: &'a Value) -> anyhow::Result<Vec<Cow<'a, Value>>> {
        let mut results = evaluate::results(&self.0, value).map_err(anyhow::Error::msg)?;
        Ok(if results.is_empty() { Vec::new() } else { results.swap_remove(0) })
    }
}

fn printed(value: &Value) -> String {
    if value.is_object() || value.is_array() { go::json(value) } else { go::printed(value) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list() -> Value {
        json!({ "kind": "List", "items": [
            { "metadata": { "name": "a", "labels": { "app.kubernetes.io/name": "shop" } }, "n": 1,
              "conditions": [{ "type": "Ready", "status": "True" }, { "type": "Other", "status": "False" }] },
            { "metadata": { "name": "b", "labels": { "tier": "web" } }, "n": 2,
              "conditions": [{ "type": "Ready", "status": "False" }] },
            { "metadata": { "name": "c" }, "n": 3 },
        ] })
    }

    fn of(template: &str) -> String {
        let parsed: JsonPath = template.parse().unwrap_or_else(|why| panic!("{why}"));
        parsed.text(&list()).unwrap_or_else(|why| panic!("{template}: {why}"))
    }

    #[test]
    fn paths_indices_slices_and_wildcards() {
        for (template, text) in [
            ("{.kind}", "List"),
            ("{$.kind}", "List"),
            ("{.items[*].metadata.name}", "a b c"),
            ("{.items[0].metadata.name}", "a"),
            ("{.items[-1].metadata.name}", "c"),
            ("{.items[0:2].n}", "1 2"),
            ("{.items[::2].n}", "1 3"),
            ("{.items[-2:].n}", "2 3"),
            ("{.items[0,2].n}", "1 3"),
            ("{.items[0]['metadata']['name']}", "a"),
            ("{.items[0].metadata.labels.app\\.kubernetes\\.io/name}", "shop"),
            ("{.items[0].metadata.labels['app\\.kubernetes\\.io/name']}", "shop"),
            ("{..name}", "a b c"),
            ("{.items[1].metadata.labels}", r#"{"tier":"web"}"#),
            ("{.nothing.below}", ""),
            ("{.items[*]['metadata.name', 'n']}", "a b c 1 2 3"),
        ] {
            assert_eq!(of(template), text, "{template}");
        }
    }

    #[test]
    fn filters_compare_with_values_and_paths_and_hold_filters() {
        for (template, text) in [
            ("{.items[?(@.n==2)].metadata.name}", "b"),
            ("{.items[?(@.n != 2)].metadata.name}", "a c"),
            ("{.items[?(@.n>=2)].metadata.name}", "b c"),
            ("{.items[?(@.metadata.name==\"c\")].n}", "3"),
            ("{.items[?(@.metadata.name=='c')].n}", "3"),
            ("{.items[?(@.metadata.labels)].n}", "1 2"),
            ("{.items[*].conditions[?(@.type==\"Ready\")].status}", "True False"),
            ("{.items[?(@.conditions[?(@.type=='Ready')].status=='True')].n}", "1"),
        ] {
            assert_eq!(of(template), text, "{template}");
        }
    }

    #[test]
    fn ranges_repeat_what_stands_in_them() {
        assert_eq!(of(r#"{range .items[*]}{.metadata.name}{"\t"}{.n}{"\n"}{end}"#), "a\t1\nb\t2\nc\t3\n");
        assert_eq!(of("names: {range .items[0:2]}[{.metadata.name}]{end}!"), "names: [a][b]!");
        let nested = r#"{range .items[0:2]}{.n}:{range .conditions[*]}{.type},{end};{end}."#;
        assert_eq!(of(nested), "1:Ready,Other,;2:Ready,;.");
        assert_eq!(of("{range .none[*]}{.x}{end}after"), "after");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let refused = |text: &str| text.parse::<JsonPath>().unwrap_err();
        assert!(refused(".items").contains("braces"));
        assert!(refused("{.items").contains("not closed"));
        assert!(refused("{.items[}").contains("not closed"));
        assert!(refused("{.items[x]}").contains("`x` is no index"));
        assert!(refused("{range .items[*]}{.x}").contains("{end}"));
        assert!(refused("{.x}{end}").contains("range"));
        assert!(refused("{.}").contains("the whole is {@}"));
        assert!(refused("{length}").contains("`length`"));
        assert!(refused("{.items[?(@.a && @.b)]}").contains("&&"));
        let fails = |text: &str| text.parse::<JsonPath>().unwrap().text(&list()).unwrap_err().to_string();
        assert_eq!(fails("{.items[7]}"), "array index out of bounds: index 7, length 3");
        assert_eq!(fails("{.kind[0]}"), "string is not array or slice");
        assert!(fails("{.items[?(@.n==\"x\")]}").contains("incompatible types for comparison"));
    }
}
