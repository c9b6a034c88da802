//! Comma-separated tables with a header: none of the traces has a comma within a cell.

use super::TraceError;

pub(super) struct Table<'a> {
    pub(super) file: &'a str,
    pub(super) header: Vec<&'a str>,
    text: &'a str,
}

pub(super) struct Row<'a, 't> {
    table: &'t Table<'a>,
    line: usize,
    cells: Vec<&'a str>,
}

impl<'a> Table<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { file, header: split(text.lines().next().unwrap_or_default()), text }
    }

    /// The column that has one of these names, whatever their case.
    pub(super) fn column(&self, names: &[&str]) -> Option<usize> {
        self.header.iter().position(|header| names.iter().any(|name| name.eq_ignore_ascii_case(header)))
    }

    /// The same, where it has to be there.
    pub(super) fn needed(&self, name: &'static str, all: &'static str) -> Result<usize, TraceError> {
        let missing = || TraceError::Column { file: self.file.to_owned(), missing: name, expected: all };
        self.column(&[name]).ok_or_else(missing)
    }

    /// The lines below the header; empty ones are none.
    pub(super) fn rows(&self) -> impl Iterator<Item = Result<Row<'a, '_>, TraceError>> {
        let lines = self.text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(index, line)| {
            let (cells, expected) = (split(line), self.header.len());
            let (found, file) = (cells.len(), self.file.to_owned());
            if found != expected {
                let column = found.min(expected) + 1;
                return Err(TraceError::Cells { file, line: index + 1, column, found, expected });
            }
            Ok(Row { table: self, line: index + 1, cells })
        })
    }

    pub(super) fn empty(&self) -> TraceError {
        TraceError::Empty { file: self.file.to_owned() }
    }
}

impl<'a> Row<'a, '_> {
    pub(super) fn text(&self, column: usize) -> &'a str {
        self.cells[column]
    }

    pub(super) fn wrong(&self, column: usize, expected: &'static str) -> TraceError {
        TraceError::Cell {
            file: self.table.file.to_owned(),
            line: self.line,
            column: column + 1,
            header: self.table.header[column].to_owned(),
            found: self.cells[column].to_owned(),
            expected,
        }
    }

    /// A number of requests; an empty cell is none. Some tools write whole numbers with a fraction.
    pub(super) fn count(&self, column: usize) -> Result<u32, TraceError> {
        let cell = self.cells[column];
        if cell.is_empty() {
            return Ok(0);
        }
        let whole = cell.split_once('.').filter(|(_, rest)| rest.bytes().all(|b| b == b'0')).map_or(cell, |(w, _)| w);
        whole.parse().map_err(|_| self.wrong(column, "a whole number of requests, or nothing"))
    }

    /// A number that is not below zero.
    pub(super) fn number(&self, column: usize, expected: &'static str) -> Result<f64, TraceError> {
        // No span of a trace comes near this, and sums of what is below stay exact.
        const MOST: f64 = 1e12;
        let number = self.cells[column].parse::<f64>().ok();
        number.filter(|number| (0.0..=MOST).contains(number)).ok_or_else(|| self.wrong(column, expected))
    }
}

fn split(line: &str) -> Vec<&str> {
    line.trim_end_matches('\r').split(',').map(|cell| cell.trim().trim_matches('"')).collect()
}
