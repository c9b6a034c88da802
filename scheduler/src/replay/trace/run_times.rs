//! How long functions run: the companion of the Azure Functions 2019 trace.

use std::{collections::BTreeMap, time::Duration};

use super::{Function, ServiceTime, TraceError, table::Table};

const COLUMNS: &str = "HashFunction, Average, percentile_Average_0 to percentile_Average_100";

/// By application, if that is said, and function.
pub(super) struct RunTimes(BTreeMap<(Option<String>, String), ServiceTime>);

impl RunTimes {
    pub(super) fn of(&self, function: &Function) -> Option<&ServiceTime> {
        let Function { app, name, .. } = function;
        let exact = self.0.get(&(app.clone(), name.clone()));
        exact.or_else(|| self.0.get(&(None, name.clone())))
    }
}

pub(super) fn parse(file: &str, text: &str) -> Result<RunTimes, TraceError> {
    let table = Table::new(file, text);
    let (name, average) = (table.needed("HashFunction", COLUMNS)?, table.needed("Average", COLUMNS)?);
    let app = table.column(&["HashApp"]);
    let percentiles: Vec<(f64, usize)> = table.header.iter().enumerate().filter_map(percentile).collect();
    let mut known = BTreeMap::new();
    for row in table.rows() {
        let row = row?;
        let millis = |column| row.number(column, "milliseconds, such as `905`");
        let mean = Duration::from_secs_f64(millis(average)? / 1000.0);
        let points = percentiles.iter().filter(|(_, column)| !row.text(*column).is_empty());
        let points: Result<Vec<(f64, f64)>, TraceError> =
            points.map(|(share, column)| Ok((*share, millis(*column)? / 1000.0))).collect();
        let key = (app.map(|app| row.text(app).to_owned()), row.text(name).to_owned());
        known.insert(key, ServiceTime::percentiles(mean, points?));
    }
    if known.is_empty() {
        return Err(table.empty());
    }
    Ok(RunTimes(known))
}

/// The share of a column such as `percentile_Average_99`, and where it is.
fn percentile((column, header): (usize, &&str)) -> Option<(f64, usize)> {
    let percent: f64 = header.to_ascii_lowercase().strip_prefix("percentile_average_")?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some((percent / 100.0, column))
}
