use std::time::Duration;

use api::{
    ObjectKey, ReplicaId, Timestamp,
    replica::{LogLine, LogSource},
};
use futures::StreamExt;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1000);
const DEADLINE: Duration = Duration::from_secs(20);

fn replica(name: &str) -> ReplicaId {
    ReplicaId(ObjectKey::new("default", name))
}

fn lines(range: std::ops::Range<usize>) -> Vec<LogLine> {
    let line =
        |n: usize| LogLine { at: Timestamp::from_secs(n as u64), source: LogSource::Stdout, text: format!("line {n}") };
    range.map(line).collect()
}

fn query(tail: Option<usize>, follow: Follow) -> LogQuery {
    LogQuery { tail, since: None, follow }
}

fn texts(items: Vec<LogItem>) -> Vec<String> {
    let text = |item| match item {
        LogItem::Line(line) => line.text,
        LogItem::Skipped(count) => format!("skipped {count}"),
    };
    items.into_iter().map(text).collect()
}

async fn all(logs: &Logs, id: &ReplicaId, query: LogQuery) -> Vec<String> {
    let stream = logs.open(id, query).expect("the log is known");
    texts(tokio::time::timeout(DEADLINE, stream.collect::<Vec<_>>()).await.expect("it ends"))
}

#[tokio::test]
async fn a_log_is_read_from_its_tail_or_since_a_time() {
    let (logs, id) = (Logs::default(), replica("a"));
    logs.announce(&id);
    logs.append(&id, lines(0..5), NOW);
    assert_eq!(all(&logs, &id, query(Some(2), Follow::No)).await, ["line 3", "line 4"]);
    let since = LogQuery { since: Some(Timestamp::from_secs(4)), ..query(None, Follow::No) };
    assert_eq!(all(&logs, &id, since).await, ["line 4"]);
    assert_eq!(all(&logs, &id, query(None, Follow::No)).await.len(), 5);
    assert!(logs.open(&replica("unknown"), query(None, Follow::No)).is_none());
}

#[tokio::test]
async fn whoever_follows_sees_what_comes_until_the_replica_is_gone() {
    let (logs, id) = (Logs::default(), replica("a"));
    logs.announce(&id);
    let mut stream = logs.open(&id, query(None, Follow::Yes)).unwrap();
    logs.append(&id, lines(0..1), NOW);
    let first = tokio::time::timeout(DEADLINE, stream.next()).await.unwrap();
    assert_eq!(texts(first.into_iter().collect()), ["line 0"]);
    logs.append(&id, lines(1..2), NOW);
    logs.retire(&id, NOW);
    let rest = tokio::time::timeout(DEADLINE, stream.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(texts(rest), ["line 1"]);
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_how_much_it_missed() {
    let (logs, id) = (Logs::default(), replica("a"));
    logs.announce(&id);
    let stream = logs.open(&id, query(None, Follow::No)).unwrap();
    let surplus = 10;
    logs.append(&id, lines(0..MAX_LINES + surplus), NOW);
    let read = texts(stream.collect::<Vec<_>>().await);
    assert_eq!(read[0], format!("skipped {surplus}"));
    assert_eq!(read.len(), MAX_LINES + 1);
}

#[tokio::test]
async fn a_log_holds_no_more_bytes_than_its_limit() {
    let (logs, id) = (Logs::default(), replica("a"));
    let mut line = lines(0..1).remove(0);
    line.text = "x".repeat(LogLine::MAX_BYTES);
    logs.append(&id, vec![line; 2 * MAX_BYTES / LogLine::MAX_BYTES], NOW);
    let kept: usize = all(&logs, &id, query(None, Follow::No)).await.iter().map(String::len).sum();
    assert!(kept <= MAX_BYTES && kept > MAX_BYTES / 2, "{kept}");
}

#[tokio::test]
async fn the_log_of_a_replica_that_is_gone_is_kept_for_a_while_and_few_are() {
    let logs = Logs::default();
    let id = replica("a");
    logs.announce(&id);
    logs.append(&id, lines(0..1), NOW);
    logs.retire(&id, NOW);
    assert_eq!(all(&logs, &id, query(None, Follow::Yes)).await, ["line 0"]);
    logs.expire(NOW + RETENTION);
    assert!(logs.open(&id, query(None, Follow::No)).is_none());
    for n in 0..=MAX_RETIRED {
        let id = replica(&n.to_string());
        logs.announce(&id);
        logs.retire(&id, NOW + Duration::from_micros(n as u64));
    }
    assert!(logs.open(&replica("0"), query(None, Follow::No)).is_none());
    assert!(logs.open(&replica("1"), query(None, Follow::No)).is_some());
}
