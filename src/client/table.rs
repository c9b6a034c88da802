use serde::Deserialize;
use serde_json::Value;

/// Asks for a Table where the server can make one.
pub(crate) const ACCEPT_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// Columns are at least this wide, as kubectl's are.
const MIN_WIDTH: usize = 6;
/// Blanks between columns, as kubectl's.
const PADDING: usize = 3;

/// A `meta.k8s.io/v1` Table: what the server would have a user see.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Table {
    #[serde(default)]
    pub(crate) metadata: ListMeta,
    /// Left out in the later events of a watch.
    #[serde(default)]
    pub(crate) column_definitions: Vec<Column>,
    #[serde(default)]
    pub(crate) rows: Vec<Row>,
}

/// The list's own metadata.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListMeta {
    #[serde(default)]
    pub(crate) resource_version: String,
    #[serde(rename = "continue")]
    pub(crate) continue_token: Option<String>,
}

/// One column.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Above zero: shown with `-o wide` alone.
    #[serde(default)]
    pub(crate) priority: i32,
}

/// One object.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    pub(crate) cells: Vec<Value>,
    #[serde(default)]
    pub(crate) object: Value,
}

/// Which columns are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    /// Those that matter most.
    Narrow,
    /// All.
    Wide,
}

/// Turns Tables into aligned lines; the widths of earlier lines are kept, so that a watch stays aligned.
#[derive(Debug)]
pub(crate) struct TablePrinter {
    columns: Columns,
    with_namespace: bool,
    /// Put before each name: `pod/`.
    name_prefix: String,
    definitions: Vec<Column>,
    widths: Vec<usize>,
}

impl TablePrinter {
    /// A printer for one kind.
    pub(crate) fn new(columns: Columns) -> Self {
        Self { columns, with_namespace: false, name_prefix: String::new(), definitions: Vec::new(), widths: Vec::new() }
    }

    /// Begins each line with the object's namespace.
    pub(crate) fn with_namespace(mut self) -> Self {
        self.with_namespace = true;
        self
    }

    /// Begins each name with this.
    pub(crate) fn with_name_prefix(mut self, prefix: String) -> Self {
        self.name_prefix = prefix;
        self
    }

    /// The lines of this Table, after a header if none was printed yet.
    pub(crate) fn lines(&mut self, table: &Table) -> Vec<String> {
        let mut grid = Vec::new();
        if self.definitions.is_empty() {
            self.definitions.clone_from(&table.column_definitions);
            grid.push(self.header());
        }
        grid.extend(table.rows.iter().map(|row| self.row(row)));
        for cells in &grid {
            self.widths.resize(self.widths.len().max(cells.len()), MIN_WIDTH);
            for (width, cell) in self.widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count() + PADDING);
            }
        }
        grid.iter().map(|cells| self.align(cells)).collect()
    }

    fn header(&self) -> Vec<String> {
        let namespace = self.with_namespace.then(|| "NAMESPACE".to_owned());
        let shown = self.definitions.iter().filter(|column| self.shows(column));
        namespace.into_iter().chain(shown.map(|column| column.name.to_uppercase())).collect()
    }

    fn row(&self, row: &Row) -> Vec<String> {
        let mut cells = Vec::with_capacity(row.cells.len() + 1);
        if self.with_namespace {
            cells.push(row.object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned());
        }
        for (column, cell) in self.definitions.iter().zip(&row.cells).filter(|(column, _)| self.shows(column)) {
            let prefix = if column.name == "Name" { self.name_prefix.as_str() } else { "" };
            cells.push(format!("{prefix}{}", text(cell)));
        }
        cells
    }

    fn shows(&self, column: &Column) -> bool {
        column.priority == 0 || self.columns == Columns::Wide
    }

    fn align(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (index, cell) in cells.iter().enumerate() {
            line.push_str(cell);
            if index + 1 < cells.len() {
                let blanks = self.widths[index] - cell.chars().count();
                line.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        line
    }
}

fn text(cell: &Value) -> String {
    match cell {
        Value::String(text) => text.replace('\n', "\\n"),
        Value::Null => "<none>".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods() -> Table {
        serde_json::from_value(json!({
            "kind": "Table",
            "metadata": {"resourceVersion": "7"},
            "columnDefinitions": [
                {"name": "Name", "type": "string", "priority": 0},
                {"name": "Restarts", "type": "integer", "priority": 0},
                {"name": "Node", "type": "string", "priority": 1},
                {"name": "Age", "type": "string"},
            ],
            "rows": [
                {"cells": ["shop-1", 0, "local", "5s"], "object": {"metadata": {"namespace": "default"}}},
                {"cells": ["a", 12, null, "3d"], "object": {"metadata": {"namespace": "kube-system"}}},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn columns_are_aligned_as_kubectl_aligns_them() {
        let lines = TablePrinter::new(Columns::Narrow).lines(&pods());
        assert_eq!(lines, ["NAME     RESTARTS   AGE", "shop-1   0          5s", "a        12         3d"]);
    }

    #[test]
    fn wide_shows_every_column_and_all_namespaces_shows_the_namespace() {
        let lines = TablePrinter::new(Columns::Wide).with_namespace().lines(&pods());
        assert_eq!(lines[0], "NAMESPACE     NAME     RESTARTS   NODE     AGE");
        assert_eq!(lines[2], "kube-system   a        12         <none>   3d");
    }

    #[test]
    fn a_watch_prints_the_header_once_and_stays_aligned() {
        let mut printer = TablePrinter::new(Columns::Narrow);
        printer.lines(&pods());
        let mut event = pods();
        event.column_definitions.clear();
        event.rows.truncate(1);
        assert_eq!(printer.lines(&event), ["shop-1   0          5s"]);
    }
}
