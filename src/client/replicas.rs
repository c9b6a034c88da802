//! Replicas, and what keeps them from being ready.

use serde_json::Value;

use super::{connection::Connection, events::Subject, kinds::Kinds, query::Query, table::Table};

/// The columns of replicas where they are shown with something else.
const COLUMNS: [&str; 6] = ["Name", "Ready", "Status", "Restarts", "Node", "Age"];

/// The Pods of `path` that are chosen, as the server shows them, each with its whole object.
pub(crate) async fn list(
    connection: &Connection,
    kinds: &Kinds,
    path: String,
    selector: Option<(&'static str, String)>,
) -> anyhow::Result<Table> {
    let query = Query { kind: kinds.named("pods")?, path, selectors: selector.into_iter().collect() };
    query.table_with_objects(connection).await
}

/// The table for people.
pub(crate) fn shown(pods: &Table) -> Table {
    let mut shown = pods.only(&COLUMNS);
    for column in &mut shown.column_definitions {
        // What the API calls a Node is a worker.
        if column.name == "Node" {
            "Worker".clone_into(&mut column.name);
        }
    }
    shown
}

/// Whether it takes requests.
pub(crate) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Why a replica takes no requests, as far as it or an event about it says so; `None` if it does, or is being removed. `events` are
/// in the order in which they happened.
pub(crate) fn why_not_ready<'e>(
    pod: &Value,
    events: impl IntoIterator<Item = &'e Value, IntoIter: DoubleEndedIterator>,
) -> Option<String> {
    if is_ready(pod) || pod["metadata"]["deletionTimestamp"].is_string() {
        return None;
    }
    let status = &pod["status"]["containerStatuses"][0];
    let waiting = &status["state"]["waiting"];
    if let Some(why) = said(waiting) {
        return Some(why);
    }
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let mut unplaced = conditions.filter(|it| it["type"] == "PodScheduled" && it["status"] == "False");
    if let Some(why) = unplaced.find_map(said) {
        return Some(why);
    }
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let subject = Subject { kind: "Pod".to_owned(), name: name.to_owned() };
    let warnings = events.into_iter().filter(|event| event["type"] == "Warning" && subject.has(event));
    if let Some(why) = warnings.filter_map(said).next_back() {
        return Some(why);
    }
    said(&status["lastState"]["terminated"])
        .or_else(|| said(&pod["status"]))
        .or_else(|| Some(waiting["reason"].as_str().unwrap_or("it has not become ready yet").to_owned()))
}

/// `REASON: message`, of what has both.
fn said(of: &Value) -> Option<String> {
    Some(format!("{}: {}", of["reason"].as_str()?, of["message"].as_str()?.trim()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_reason_is_what_the_replica_says_then_its_placement_then_its_last_warning() {
        let waiting = json!({ "status": { "containerStatuses": [
            { "state": { "waiting": { "reason": "ErrImagePull", "message": "there is none" } } } ] } });
        assert_eq!(why_not_ready(&waiting, &[]).as_deref(), Some("ErrImagePull: there is none"));
        let unplaced = json!({ "status": { "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room" } ] } });
        assert_eq!(why_not_ready(&unplaced, &[]).as_deref(), Some("Unschedulable: no room"));
        let running = json!({ "metadata": { "name": "a" }, "status": { "conditions": [
            { "type": "Ready", "status": "False" } ] } });
        let event = |message: &str| {
            json!({ "type": "Warning", "reason": "Unhealthy", "message": message,
            "involvedObject": { "kind": "Pod", "name": "a" } })
        };
        let events = [event("first"), event("answered 500")];
        assert_eq!(why_not_ready(&running, &events).as_deref(), Some("Unhealthy: answered 500"));
        assert_eq!(why_not_ready(&running, &[]).as_deref(), Some("it has not become ready yet"));
    }

    #[test]
    fn a_replica_that_is_ready_or_leaves_lacks_nothing() {
        let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
        assert_eq!(why_not_ready(&ready, &[]), None);
        let leaving = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } });
        assert_eq!(why_not_ready(&leaving, &[]), None);
    }
}
