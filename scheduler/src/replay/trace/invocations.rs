//! Single calls: Azure Functions 2021 (Y. Zhang and others, "Faster and Cheaper Serverless Computing on Harvested Resources",
//! SOSP 2021), with the moment at which each ended and how long it ran, both in seconds.

use std::{collections::BTreeMap, time::Duration};

use super::{Function, Load, Request, Trace, TraceError, table::Table};

const COLUMNS: &str = "app, func, end_timestamp, duration";

pub(super) fn parse(table: &Table<'_>) -> Result<Trace, TraceError> {
    let (app, name) = (table.column(&["app"]), table.needed("func", COLUMNS)?);
    let (end, duration) = (table.needed("end_timestamp", COLUMNS)?, table.needed("duration", COLUMNS)?);
    let mut calls = Vec::new();
    for row in table.rows() {
        let row = row?;
        let ended = row.number(end, "seconds since the trace began, such as `57.157`")?;
        let ran = row.number(duration, "seconds, such as `0.078`")?;
        calls.push(((app.map(|app| row.text(app)), row.text(name)), ended - ran, ran));
    }
    if calls.is_empty() {
        return Err(table.empty());
    }
    // The first may have begun before the trace did.
    let began = calls.iter().map(|(_, began, _)| *began).fold(f64::INFINITY, f64::min);
    let ended = calls.iter().map(|(_, began, ran)| began + ran).fold(0.0, f64::max);
    let mut functions: BTreeMap<(Option<&str>, &str), Vec<Request>> = BTreeMap::new();
    for (key, at, ran) in calls {
        let request = Request { at: micros(at - began), service: micros(ran) };
        functions.entry(key).or_default().push(request);
    }
    let functions = functions.into_iter().map(|((app, name), mut requests)| {
        requests.sort_by_key(|request| request.at);
        let load = Load::Requests(requests);
        Function { name: name.to_owned(), app: app.map(str::to_owned), load, service: None }
    });
    Ok(Trace { functions: functions.collect(), span: micros(ended - began) })
}

fn micros(seconds: f64) -> Duration {
    Duration::from_micros((seconds.max(0.0) * 1e6).round() as u64)
}
