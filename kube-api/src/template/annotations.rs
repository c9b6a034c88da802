//! The `sampan.dev/` annotations of a pod template.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, time::Duration};

use api::{
    annotations::{CONCURRENCY, ISOLATION, KEY_VALUE, MAX_REUSE, OUTBOUND, REQUEST_DEADLINE},
    parse_span,
    replica::{Grants, Isolation, Limits},
};

use crate::fields::{FieldError, labels::check_own_annotations};

/// Requests at the same time that a replica may be given.
const CONCURRENCY_RANGE: RangeInclusive<u32> = 1..=100_000;
/// Requests that an instance may serve.
const MAX_REUSE_RANGE: RangeInclusive<u32> = 1..=1_000_000_000;
/// The longest request deadline.
const MAX_DEADLINE: Duration = Duration::from_secs(3600);
/// Entries of a list in an annotation.
const MAX_ENTRIES: usize = 64;

/// Reads the annotations; what is wrong with them is added to the errors, and the default holds.
pub(super) fn read(annotations: &BTreeMap<String, String>, errors: &mut Vec<FieldError>) -> (Limits, Grants) {
    errors.extend(check_own_annotations("metadata.annotations", annotations, "pod template"));
    let mut reader = Reader { annotations, errors };
    let concurrency = reader.value(CONCURRENCY, Limits::DEFAULT_CONCURRENCY, |text| number(text, CONCURRENCY_RANGE));
    let request_deadline = reader.value(REQUEST_DEADLINE, Limits::DEFAULT_REQUEST_DEADLINE, deadline);
    let max_reuse = reader.value(MAX_REUSE, Limits::DEFAULT_MAX_REUSE, |text| number(text, MAX_REUSE_RANGE));
    let isolation = reader.value(ISOLATION, Isolation::Request, |text| match text {
        "request" => Ok(Isolation::Request),
        "replica" => Ok(Isolation::Replica { max_reuse }),
        _ => Err(format!("`{text}` is not an isolation: write `request` or `replica`")),
    });
    let grants = Grants {
        outbound: reader.value(OUTBOUND, Vec::new(), |text| list(text, check_host)),
        key_value: reader.value(KEY_VALUE, Vec::new(), |text| list(text, check_store)),
    };
    let limits = Limits { concurrency, request_deadline, isolation, ..Limits::default() };
    (limits, grants)
}

struct Reader<'a> {
    annotations: &'a BTreeMap<String, String>,
    errors: &'a mut Vec<FieldError>,
}

impl Reader<'_> {
    fn value<T, E: Display>(&mut self, key: &str, default: T, read: impl FnOnce(&str) -> Result<T, E>) -> T {
        let Some(text) = self.annotations.get(key) else { return default };
        read(text.trim()).unwrap_or_else(|error| {
            self.errors.push(FieldError::invalid(format!("metadata.annotations[{key}]"), error.to_string()));
            default
        })
    }
}

fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("`{text}` is not a whole number from {} to {}", range.start(), range.end()))
}

fn deadline(text: &str) -> Result<Duration, String> {
    let span = parse_span(text).map_err(|error| error.to_string())?;
    if span.is_zero() || span > MAX_DEADLINE {
        return Err(format!("`{text}` is out of range: use more than 0 and at most 1h"));
    }
    Ok(span)
}

/// A comma-separated list; `none` is the empty one.
fn list(text: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<Vec<String>, String> {
    if text.is_empty() || text == "none" {
        return Ok(Vec::new());
    }
    let entries: Vec<_> = text.split(',').map(|entry| entry.trim().to_owned()).collect();
    if entries.len() > MAX_ENTRIES {
        return Err(format!("has {} entries: at most {MAX_ENTRIES} are allowed", entries.len()));
    }
    entries.iter().try_for_each(|entry| check(entry))?;
    Ok(entries)
}

fn check_host(entry: &str) -> Result<(), String> {
    let wrong = |why: &str| {
        Err(format!(
            "`{entry}` is not a host: {why}; write `products`, `api.example.com`, `*.example.com` or `host:port`"
        ))
    };
    if entry.contains("//") {
        return wrong("leave the scheme and the path away");
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (entry, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err() || port == "0") {
        return wrong("the port is no port");
    }
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if address.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    let name = host.strip_prefix("*.").unwrap_or(host).to_ascii_lowercase();
    match api::check_dns_subdomain(&name) {
        Ok(()) => Ok(()),
        Err(_) => wrong("it is no DNS name and no IP address"),
    }
}

fn check_store(entry: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if entry.is_empty() || entry.len() > 63 || !entry.bytes().all(allowed) {
        return Err(format!("`{entry}` is not a store's name: use 1 to 63 letters, digits, `-`, `_` or `.`"));
    }
    Ok(())
}
