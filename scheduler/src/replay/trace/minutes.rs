//! Requests in each minute: of functions, in columns (Azure Functions 2019: M. Shahrad and others, "Serverless in the Wild",
//! USENIX ATC 2020), or of one service, in lines (the 1998 World Cup's site: M. Arlitt, T. Jin, HPL-1999-35R1).

use std::time::Duration;

use super::{
    Function, Load, Trace, TraceError,
    moment::parse_minute,
    table::{Row, Table},
};

const MINUTE: Duration = Duration::from_secs(60);
/// A longer trace is taken to be a mistake: it would be gaps.
const MOST_MINUTES: u64 = 366 * 24 * 60;

/// Which columns are minutes: those called `1` or `minute_1`, and so on.
pub(super) fn columns(table: &Table<'_>) -> Vec<usize> {
    let is_minute = |header: &str| {
        let digits = match header.get(..7) {
            Some(start) if start.eq_ignore_ascii_case("minute_") => &header[7..],
            _ => header,
        };
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let numbered = table.header.iter().enumerate().filter(|(_, header)| is_minute(header));
    numbered.map(|(column, _)| column).collect()
}

pub(super) fn functions(table: &Table<'_>) -> Result<Trace, TraceError> {
    let (minutes, name) = (columns(table), table.needed("HashFunction", "HashOwner, HashApp, HashFunction")?);
    let app = table.column(&["HashApp"]);
    let function = |row: Row<'_, '_>| {
        let counts: Result<Vec<u32>, TraceError> = minutes.iter().map(|column| row.count(*column)).collect();
        Ok(Function {
            name: row.text(name).to_owned(),
            app: app.map(|app| row.text(app).to_owned()),
            load: Load::Minutes(counts?),
            service: None,
        })
    };
    let functions: Vec<Function> = table.rows().map(|row| function(row?)).collect::<Result<_, TraceError>>()?;
    if functions.is_empty() {
        return Err(table.empty());
    }
    Ok(Trace { functions, span: MINUTE * minutes.len() as u32 })
}

/// A line for each minute; of those that are left out, nothing came.
pub(super) fn service(table: &Table<'_>, period: usize, count: usize) -> Result<Trace, TraceError> {
    let mut counts: Vec<u32> = Vec::new();
    let mut first = None;
    for row in table.rows() {
        let row = row?;
        let expected = "a minute such as `1998-05-12 06:38:00`, after the one before";
        let minute = parse_minute(row.text(period)).ok_or_else(|| row.wrong(period, expected))?;
        let index = minute.checked_sub(*first.get_or_insert(minute));
        let index = index.filter(|index| *index >= counts.len() as u64 && *index < MOST_MINUTES);
        let index = index.ok_or_else(|| row.wrong(period, expected))?;
        counts.resize(index as usize, 0);
        counts.push(row.count(count)?);
    }
    if counts.is_empty() {
        return Err(table.empty());
    }
    let span = MINUTE * counts.len() as u32;
    let name = table.file.rsplit(['/', '\\']).next().unwrap_or(table.file).trim_end_matches(".csv").to_owned();
    let function = Function { name, app: None, load: Load::Minutes(counts), service: None };
    Ok(Trace { functions: vec![function], span })
}
