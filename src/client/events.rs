//! Events, in the order in which they last happened.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::{
    age::{between, since},
    connection::Connection,
    query::percent_encode,
    table::Table,
};

/// The columns that people see.
const COLUMNS: [(&str, i32); 8] = [
    ("Last Seen", 0),
    ("Count", 0),
    ("Type", 0),
    ("Reason", 0),
    ("Object", 0),
    ("First Seen", 1),
    ("Name", 1),
    ("Message", 0),
];

/// What events are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    /// As manifests write it: `Deployment`.
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl Subject {
    /// Whether an event is about this, or about what was made for it: the ReplicaSets of a Deployment, the replicas of both.
    /// Names say so, also of what is gone.
    pub(crate) fn has(&self, event: &Value) -> bool {
        let about = &event["involvedObject"];
        self.covers(about["kind"].as_str().unwrap_or_default(), about["name"].as_str().unwrap_or_default())
    }

    /// Whether an object of this kind and name is this, or was made for it.
    pub(crate) fn covers(&self, kind: &str, name: &str) -> bool {
        let made_for = |name: &str, generations: usize| {
            let parts: Vec<&str> = name.rsplitn(generations + 1, '-').collect();
            parts.len() == generations + 1 && parts[generations] == self.name
        };
        match (self.kind.as_str(), kind) {
            ("Deployment", "ReplicaSet") | ("ReplicaSet", "Pod") => made_for(name, 1),
            ("Deployment", "Pod") => made_for(name, 2),
            (own, kind) => own == kind && name == self.name,
        }
    }
}

/// The path of all events of a namespace; `None`: of all.
pub(crate) fn path(namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("/api/v1/namespaces/{}/events", percent_encode(namespace)),
        None => "/api/v1/events".to_owned(),
    }
}

/// All events of a namespace, or of all, with the version of the whole list. What happened last stands last.
pub(crate) async fn list(connection: &Connection, namespace: Option<&str>) -> anyhow::Result<(Vec<Value>, String)> {
    let mut answer: Value = connection.get(&path(namespace)).await?;
    let version = answer["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let mut events = match answer["items"].take() {
        Value::Array(events) => events,
        _ => Vec::new(),
    };
    sort(&mut events);
    Ok((events, version))
}

/// Puts them in the order in which they last happened.
pub(crate) fn sort(events: &mut [Value]) {
    events.sort_by_key(last_time);
}

/// When an event last happened, in microseconds; without a time, the longest ago. Of the same second, the one that was
/// written later is the later one.
pub(crate) fn last_time(event: &Value) -> (i64, u64) {
    let times = [&event["series"]["lastObservedTime"], &event["lastTimestamp"], &event["eventTime"]];
    let others = [&event["firstTimestamp"], &event["metadata"]["creationTimestamp"]];
    let mut texts = times.into_iter().chain(others).filter_map(Value::as_str);
    let time = texts.find_map(|text| text.parse::<Timestamp>().ok());
    let version = event["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok());
    (time.map_or(0, Timestamp::as_microsecond), version.unwrap_or(0))
}

/// They as a table.
pub(crate) fn table(events: &[Value]) -> Table {
    let now = Timestamp::now();
    let mut table = Table::new(&COLUMNS, events.iter().map(|event| row(event, now)));
    for (row, event) in table.rows.iter_mut().zip(events) {
        row.object = event.clone();
    }
    table
}

fn row(event: &Value, now: Timestamp) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let about = &event["involvedObject"];
    let last = Timestamp::from_microsecond(last_time(event).0).unwrap_or(now);
    vec![
        between(last, now),
        event["count"].as_u64().unwrap_or(1).to_string(),
        text(&event["type"]),
        text(&event["reason"]),
        format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"])),
        since(&event["firstTimestamp"], now),
        text(&event["metadata"]["name"]),
        text(&event["message"]),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn about(kind: &str, name: &str) -> Value {
        json!({ "involvedObject": { "kind": kind, "name": name } })
    }

    #[test]
    fn what_was_made_for_a_deployment_belongs_to_it() {
        let shop = Subject { kind: "Deployment".into(), name: "shop".into() };
        for (kind, name) in [("Deployment", "shop"), ("ReplicaSet", "shop-abc"), ("Pod", "shop-abc-x1")] {
            assert!(shop.has(&about(kind, name)), "{kind}/{name}");
        }
        for (kind, name) in
            [("Deployment", "shop-two"), ("Pod", "shop-two-abc-x1"), ("Service", "shop"), ("Pod", "shop")]
        {
            assert!(!shop.has(&about(kind, name)), "{kind}/{name}");
        }
        assert!(Subject { kind: "ReplicaSet".into(), name: "shop-abc".into() }.has(&about("Pod", "shop-abc-x1")));
    }

    #[test]
    fn what_happened_last_stands_last_whatever_field_says_when() {
        let mut events = [
            json!({ "n": 3, "lastTimestamp": "2026-01-01T00:00:09Z" }),
            json!({ "n": 2, "lastTimestamp": null, "eventTime": "2026-01-01T00:00:05.000001Z" }),
            json!({ "n": 1, "lastTimestamp": "2026-01-01T00:00:05Z" }),
            json!({ "n": 0 }),
        ];
        sort(&mut events);
        assert_eq!(events.map(|event| event["n"].as_u64().unwrap()), [0, 1, 2, 3]);
    }
}
