/// Why a text is no trace: where, and what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// A cell holds something else than it should.
    #[error("{file}:{line}:{column}: `{found}` in column `{header}`: expected {expected}")]
    Cell {
        /// Which file.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// The column of its table, from 1.
        column: usize,
        /// What that column is called.
        header: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// A line has too few or too many cells.
    #[error("{file}:{line}:{column}: {found} cells: expected {expected}, as the header has")]
    Cells {
        /// Which file.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// The first column that is missing, or that is too much, from 1.
        column: usize,
        /// How many it has.
        found: usize,
        /// How many the header has.
        expected: usize,
    },
    /// The header is of no format that is known.
    #[error(
        "{file}:1:1: `{found}` is no header of a trace: expected `HashFunction,...,minute_1,minute_2,...` (or `1,2,...`) for \
         calls in each minute, `app,func,end_timestamp,duration` for single calls, or `period,count` for one service"
    )]
    Header {
        /// Which file.
        file: String,
        /// Its first line.
        found: String,
    },
    /// It holds how long functions run, not when they are called.
    #[error("{file}:1:1: this says how long functions run, not when they are called: give it with --durations")]
    RunTimes {
        /// Which file.
        file: String,
    },
    /// A column that is needed is not there.
    #[error("{file}:1:1: there is no column `{missing}`: expected one of {expected}")]
    Column {
        /// Which file.
        file: String,
        /// What it may be called.
        missing: &'static str,
        /// All that are needed.
        expected: &'static str,
    },
    /// There is a header and nothing else.
    #[error("{file}:2:1: there is nothing after the header: expected a line for each function, call or minute")]
    Empty {
        /// Which file.
        file: String,
    },
}
