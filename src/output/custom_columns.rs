use std::{borrow::Cow, str::FromStr};

use serde_json::Value;

use super::{go, jsonpath::JsonPath};
use crate::client::table::{Columns, Table};

/// What stands where an object has nothing.
const NONE: &str = "<none>";

/// `NAME:.metadata.name,IMAGE:.spec.containers[*].image`: a table of the user's own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CustomColumns(Vec<(String, JsonPath)>);

impl FromStr for CustomColumns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(column).collect::<Result<_, _>>().map(Self)
    }
}

fn column(text: &str) -> Result<(String, JsonPath), String> {
    let (header, path) = text
        .split_once(':')
        .filter(|(header, path)| !header.is_empty() && !path.is_empty())
        .ok_or_else(|| format!("`{text}` is no column: write HEADER:PATH, such as NAME:.metadata.name"))?;
    // Braces and the first dot may be left away.
    let inner = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).unwrap_or(path);
    if inner.contains(['{', '}']) {
        return Err(format!("`{path}` is no path of one column: write it as .spec.nodeName"));
    }
    let template = format!("{{.{}}}", inner.strip_prefix('.').unwrap_or(inner));
    template.parse().map(|path| (header.to_owned(), path))
}

impl CustomColumns {
    /// A header, and a line for each item of a list, or for the object.
    pub(super) fn lines(&self, value: &Value) -> anyhow::Result<Vec<String>> {
        let items = value["items"].as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        let rows = items.iter().map(|item| self.0.iter().map(|(_, path)| cell(path, item)).collect());
        let rows = rows.collect::<anyhow::Result<Vec<Vec<String>>>>()?;
        let columns: Vec<(&str, i32)> = self.0.iter().map(|(header, _)| (header.as_str(), 0)).collect();
        Ok(Table::new(&columns, rows).lines_as_headed(Columns::Narrow))
    }
}

fn cell(path: &JsonPath, item: &Value) -> anyhow::Result<String> {
    let found = path.find(item)?;
    if found.is_empty() {
        return Ok(NONE.to_owned());
    }
    Ok(found.iter().map(|value| go::printed(Cow::as_ref(value))).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_object_is_a_row_and_what_is_not_there_is_none() {
        let columns: CustomColumns = "NAME:.metadata.name,Images:{.spec.containers[*].image}".parse().unwrap();
        let list = json!({ "items": [
            { "metadata": { "name": "a" }, "spec": { "containers": [{ "image": "x" }, { "image": "y" }] } },
            { "metadata": { "name": "b" } },
        ] });
        assert_eq!(columns.lines(&list).unwrap(), ["NAME   Images", "a      x,y", "b      <none>"]);
        assert_eq!(columns.lines(&list["items"][1]).unwrap(), ["NAME   Images", "b      <none>"]);
    }

    #[test]
    fn a_column_without_its_path_is_refused() {
        let refused = |text: &str| text.parse::<CustomColumns>().unwrap_err();
        assert!(refused("NAME").contains("HEADER:PATH"));
        assert!(refused("NAME:.metadata.name,:x").contains("`:x` is no column"));
        assert!(refused("A:{.x}{.y}").contains("no path of one column"));
    }
}
