use kube_api::notation::yaml_text;
use serde_json::Value;

use crate::{
    client::table::{Columns, Table},
    layout, terminal,
};

/// Where values begin that stand beside their names.
const VALUES: usize = 16;
/// How far what stands below a heading is indented.
const INDENT: usize = 2;
/// Texts of more lines or characters than this are cut where they are shown among other things.
const MAX_TEXT: usize = 4096;

/// What `describe` prints, line by line.
#[derive(Debug, Default)]
pub(super) struct Page {
    lines: Vec<String>,
    width: Option<usize>,
}

impl Page {
    pub(super) fn new() -> Self {
        Self { lines: Vec::new(), width: terminal::width() }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }

    /// `Name:           value`, if there is a value.
    pub(super) fn field(&mut self, name: &str, value: impl Into<Option<String>>) {
        self.values(name, value.into());
    }

    /// As [`Self::field`], with a line for each value.
    pub(super) fn values(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        for (at, value) in values.into_iter().enumerate() {
            let name = if at == 0 { format!("{name}:") } else { String::new() };
            let value = layout::wrapped(&value, VALUES.max(name.len() + 1), self.width);
            self.lines.push(format!("{name:<15} {value}"));
        }
    }

    /// `Heading:`, after a blank line.
    pub(super) fn heading(&mut self, heading: &str) {
        if !self.lines.is_empty() {
            self.lines.push(String::new());
        }
        self.lines.push(format!("{heading}:"));
    }

    /// A line below a heading.
    pub(super) fn below(&mut self, text: &str) {
        let text = layout::wrapped(text, 2 * INDENT, self.width);
        self.lines.push(format!("{:INDENT$}{text}", ""));
    }

    /// A table below a heading. What has no row says so.
    pub(super) fn table(&mut self, heading: &str, table: &Table, columns: Columns) {
        self.heading(heading);
        if table.rows.is_empty() {
            self.below("<none>");
            return;
        }
        self.lines.extend(table.indented(columns, INDENT));
    }

    /// A value as YAML, indented.
    pub(super) fn yaml(&mut self, value: &Value, indent: usize) {
        let text = yaml_text(value);
        let cut: String = text.chars().take(MAX_TEXT).collect();
        for line in cut.lines() {
            self.lines.push(format!("{:indent$}{line}", ""));
        }
        if cut.len() < text.len() {
            self.lines.push(format!("{:indent$}... ({} bytes in all)", "", text.len()));
        }
    }
}
