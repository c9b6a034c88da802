use std::str::FromStr;

use kube_api::notation::yaml_text;
use serde_json::Value;

use super::{custom_columns::CustomColumns, jsonpath::JsonPath};
use crate::client::table::Columns;

/// How something is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Output {
    /// For people.
    Table(Columns),
    /// For programs.
    Whole(Whole),
}

/// The whole of what there is, or what is picked out of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Whole {
    Json,
    Yaml,
    /// What each is called in commands.
    Name,
    JsonPath(JsonPath),
    CustomColumns(CustomColumns),
}

/// The formats, as users write them.
pub(crate) const FORMATS: [&str; 6] = ["json", "yaml", "name", "wide", "jsonpath=", "custom-columns="];

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, argument) = text.split_once('=').map_or((text, None), |(name, argument)| (name, Some(argument)));
        let whole = match (name, argument) {
            ("wide", None) => return Ok(Self::Table(Columns::Wide)),
            ("json", None) => Whole::Json,
            ("yaml", None) => Whole::Yaml,
            ("name", None) => Whole::Name,
            ("jsonpath", Some(template)) if !template.is_empty() => Whole::JsonPath(template.parse()?),
            ("jsonpath", _) => return Err("say what of it: -o jsonpath='{.items[*].metadata.name}'".to_owned()),
            ("custom-columns", Some(columns)) if !columns.is_empty() => Whole::CustomColumns(columns.parse()?),
            ("custom-columns", _) => {
                return Err("say which columns: -o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName".to_owned());
            }
            _ => {
                let known = "use json, yaml, name, wide, jsonpath=TEMPLATE or custom-columns=HEADER:PATH,...";
                return Err(format!("`{name}` is no format: {known}"));
            }
        };
        Ok(Self::Whole(whole))
    }
}

impl Whole {
    /// The text for what `value` is: an object, or a list with `items`.
    pub(super) fn text(&self, value: &Value, names: &[String]) -> anyhow::Result<String> {
        let mut text = match self {
            Self::Json => serde_json::to_string_pretty(value)?,
            // It ends its last line itself.
            Self::Yaml => return Ok(yaml_text(value)),
            Self::Name => names.join("\n"),
            Self::CustomColumns(columns) => columns.lines(value)?.join("\n"),
            // A template says itself where lines end.
            Self::JsonPath(template) => return template.text(value),
        };
        if !text.is_empty() {
            text.push('\n');
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_format_gets_the_list_and_what_lacks_its_argument_an_example() {
        let refused = |text: &str| text.parse::<Output>().unwrap_err();
        assert!(refused("jsn").contains("json, yaml, name, wide, jsonpath=TEMPLATE"));
        assert!(refused("go-template={{.x}}").starts_with("`go-template` is no format"));
        assert!(refused("jsonpath").contains("{.items[*].metadata.name}"));
        assert!(refused("custom-columns=").contains("NAME:.metadata.name"));
        assert!(refused("json=x").contains("`json` is no format") || refused("json=x").contains("json"));
    }
}
