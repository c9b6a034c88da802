use super::{Trace, TraceError, invocations, minutes, table::Table};

/// Reads what the header says that it is.
pub(super) fn parse(file: &str, text: &str) -> Result<Trace, TraceError> {
    let table = Table::new(file, text);
    let is_function = table.column(&["HashFunction"]).is_some();
    if is_function && !minutes::columns(&table).is_empty() {
        return minutes::functions(&table);
    }
    if is_function && table.column(&["Average"]).is_some() {
        return Err(TraceError::RunTimes { file: file.to_owned() });
    }
    if table.column(&["end_timestamp"]).is_some() {
        return invocations::parse(&table);
    }
    if let (Some(period), Some(count)) =
        (table.column(&["period", "timestamp", "time", "minute"]), table.column(&["count", "requests"]))
    {
        return minutes::service(&table, period, count);
    }
    let found = text.lines().next().unwrap_or_default().chars().take(60).collect();
    Err(TraceError::Header { file: file.to_owned(), found })
}
