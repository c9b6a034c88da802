//! Columns of the tables that `kubectl get` prints.

use std::time::Duration;

use api::Timestamp;
use serde_json::{Value, json};

pub(super) use crate::fields::list_at;

/// One column.
#[derive(Debug)]
pub struct Column {
    /// The heading, in Kubernetes' spelling.
    pub name: &'static str,
    /// `string`, `integer` or `date`.
    pub kind: &'static str,
    /// `name` for the first column, else empty.
    pub format: &'static str,
    /// 0: always shown. 1: with `-o wide`.
    pub priority: u8,
    /// What stands in it, given the object and the time.
    pub cell: fn(&Value, Timestamp) -> Value,
}

impl Column {
    /// A column of text that is always shown.
    pub(super) const fn text(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self { name, kind: "string", format: "", priority: 0, cell }
    }

    /// A column of numbers that is always shown.
    pub(super) const fn number(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self { name, kind: "integer", format: "", priority: 0, cell }
    }

    /// A column that is shown with `-o wide`.
    pub(super) const fn wide(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self { name, kind: "string", format: "", priority: 1, cell }
    }
}

/// The first column of every table.
pub(super) const NAME: Column =
    Column { name: "Name", kind: "string", format: "name", priority: 0, cell: |o, _| o["metadata"]["name"].clone() };
/// The last column of most tables.
pub(super) const AGE: Column = Column::text("Age", |object, now| age(&object["metadata"]["creationTimestamp"], now));

/// How long ago a time of an object was, as Kubernetes prints it.
pub(super) fn age(time: &Value, now: Timestamp) -> Value {
    let Some(then) = time.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()) else {
        return json!("<unknown>");
    };
    let then = Timestamp { micros: u64::try_from(then.as_microsecond()).unwrap_or(0) };
    json!(human_duration(now.since(then)))
}

/// A number of an object's status or spec, zero if it is not there.
pub(super) fn number_at(object: &Value, pointer: &str) -> Value {
    object.pointer(pointer).filter(|value| value.is_number()).cloned().unwrap_or(json!(0))
}

/// A text of an object, or `<none>`.
pub(super) fn text_at(object: &Value, pointer: &str) -> Value {
    match object.pointer(pointer).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => json!(text),
        _ => json!("<none>"),
    }
}

/// Texts joined by commas, or `<none>`.
pub(super) fn joined(texts: impl IntoIterator<Item = String>) -> Value {
    let texts: Vec<_> = texts.into_iter().collect();
    if texts.is_empty() { json!("<none>") } else { json!(texts.join(",")) }
}

/// A label selector, or the selector of a Service, as Kubernetes prints it.
pub(super) fn selector(labels: &Value) -> Value {
    joined(labels.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())))
}

/// A span of time in at most two units, as `kubectl` prints ages: `45s`, `5m12s`, `3h20m`, `4d2h`, `20d`.
pub(super) fn human_duration(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{small_unit}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if hours < 3 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 365 * 2 => format!("{days}d"),
        () if days < 365 * 8 => two(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}
