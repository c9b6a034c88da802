use serde::Deserialize;
use serde_json::{Value, json};

use crate::{layout, terminal};

/// Asks for a Table where the server can make one.
pub(crate) const ACCEPT_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// Columns are at least this wide, as kubectl's are.
const MIN_WIDTH: usize = 6;
/// Blanks between columns, as kubectl's.
const PADDING: usize = 3;
/// How far a text is indented that stands below its row.
const INDENT: usize = 4;

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

impl Table {
    /// A Table of this program's own: its columns, those that only `-o wide` shows with 1, and the cells of each row.
    pub(crate) fn new(columns: &[(&str, i32)], rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        let define = |(name, priority): &(&str, i32)| Column { name: (*name).to_owned(), priority: *priority };
        let row = |cells: Vec<String>| Row {
            cells: cells.into_iter().map(|cell| json!(cell)).collect(),
            object: Value::Null,
        };
        Self {
            metadata: ListMeta::default(),
            column_definitions: columns.iter().map(define).collect(),
            rows: rows.into_iter().map(row).collect(),
        }
    }

    /// Its lines, after a header.
    pub(crate) fn lines(&self, columns: Columns) -> Vec<String> {
        TablePrinter::new(columns).lines(self)
    }

    /// As [`Self::lines`], each with so many blanks before it.
    pub(crate) fn indented(&self, columns: Columns, indent: usize) -> Vec<String> {
        let fit = terminal::width().map(|width| width.saturating_sub(indent));
        let lines = TablePrinter { fit, ..TablePrinter::new(columns) }.lines(self);
        lines.iter().flat_map(|line| line.lines()).map(|line| format!("{:indent$}{}", "", line.trim_end())).collect()
    }

    /// As [`Self::lines`], with the columns called just as they were named.
    pub(crate) fn lines_as_headed(&self, columns: Columns) -> Vec<String> {
        TablePrinter { headed_as_named: true, ..TablePrinter::new(columns) }.lines(self)
    }

    /// The same rows with these columns alone, as far as there are such, in this order.
    pub(crate) fn only(&self, names: &[&str]) -> Self {
        let place = |name: &&str| self.column_definitions.iter().position(|column| column.name == *name);
        let places: Vec<usize> = names.iter().filter_map(place).collect();
        let pick = |row: &Row| Row {
            cells: places.iter().filter_map(|place| row.cells.get(*place).cloned()).collect(),
            object: row.object.clone(),
        };
        let define = |place: &usize| Column { priority: 0, ..self.column_definitions[*place].clone() };
        Self {
            metadata: self.metadata.clone(),
            column_definitions: places.iter().map(define).collect(),
            rows: self.rows.iter().map(pick).collect(),
        }
    }
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
    headed_as_named: bool,
    definitions: Vec<Column>,
    widths: Vec<usize>,
    /// Columns that a line is to fit in.
    fit: Option<usize>,
}

impl TablePrinter {
    /// A printer for one kind.
    pub(crate) fn new(columns: Columns) -> Self {
        Self {
            columns,
            with_namespace: false,
            name_prefix: String::new(),
            headed_as_named: false,
            definitions: Vec::new(),
            widths: Vec::new(),
            fit: terminal::width(),
        }
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
        let headed = self.definitions.is_empty();
        if headed {
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
        grid.iter().enumerate().map(|(at, cells)| self.line(cells, headed && at == 0)).collect()
    }

    fn header(&self) -> Vec<String> {
        let namespace = self.with_namespace.then(|| "NAMESPACE".to_owned());
        let shown = self.definitions.iter().filter(|column| self.shows(column));
        let named = |column: &Column| {
            if self.headed_as_named { column.name.clone() } else { column.name.to_uppercase() }
        };
        namespace.into_iter().chain(shown.map(named)).collect()
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

    /// A row. A sentence that does not fit stands below what it is about, and so does the name of its column.
    fn line(&self, cells: &[String], is_header: bool) -> String {
        let Some((last, others)) = cells.split_last() else { return String::new() };
        let before: usize = self.widths[..others.len()].iter().sum();
        let fits = |width: usize| self.fit.is_none_or(|fit| width <= fit);
        let closer = if fits(before) { 0 } else { PADDING - 1 };
        if fits(before + last.chars().count()) || !(is_header || last.contains(' ')) {
            return self.align(cells, closer);
        }
        let below = layout::wrapped(last, INDENT, self.fit);
        format!("{}\n{}{below}", self.align(others, closer), " ".repeat(INDENT))
    }

    /// Cells below those of other rows, with so many blanks less between them than is usual.
    fn align(&self, cells: &[String], closer: usize) -> String {
        let mut line = String::new();
        for (index, cell) in cells.iter().enumerate() {
            line.push_str(cell);
            if index + 1 < cells.len() {
                let blanks = self.widths[index].saturating_sub(closer + cell.chars().count()).max(1);
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
    fn a_sentence_that_does_not_fit_stands_below_its_row() {
        let table = Table::new(
            &[("Object", 0), ("Message", 0)],
            [vec!["pod/a".into(), "it is well".into()], vec!["pod/b".into(), "one two three four five six".into()]],
        );
        let mut printer = TablePrinter::new(Columns::Narrow);
        printer.fit = Some(22);
        assert_eq!(
            printer.lines(&table),
            ["OBJECT   MESSAGE", "pod/a    it is well", "pod/b\n    one two three four\n    five six"]
        );
        let mut narrow = TablePrinter::new(Columns::Narrow);
        narrow.fit = Some(8);
        assert_eq!(narrow.lines(&table)[0], "OBJECT\n    MESSAGE");
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
