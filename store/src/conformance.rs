//! What every store must do. Each test runs on each store.

use std::time::Duration;

use api::Timestamp;
use bytes::Bytes;
use futures::StreamExt;

use super::{Compare, MemoryStore, Op, RedbStore, Revision, Store, StoreError, Watch, WatchEvent, index::LogLimit};
use crate::{disk::File, encryption::EncryptionKeys, testing};

/// Few enough that a test can go beyond it.
const SMALL_LOG: LogLimit = LogLimit { changes: 8, bytes: 1 << 20 };
const DEADLINE: Duration = Duration::from_secs(20);

/// A store, and what must outlive it.
struct Subject {
    store: Box<dyn Store>,
    _dir: tempfile::TempDir,
}

fn subjects() -> Vec<Subject> {
    let redb = |keys| {
        let dir = tempfile::tempdir().unwrap();
        let file = File::open(&dir.path().join("store.redb"), 1 << 20).unwrap();
        Subject { store: Box::new(RedbStore::of_file(file, SMALL_LOG, keys).unwrap()), _dir: dir }
    };
    let memory = MemoryStore::with_log(Timestamp::from_secs(1), SMALL_LOG);
    vec![
        redb(EncryptionKeys::default()),
        redb(testing::key("a", 1)),
        Subject { store: Box::new(memory), _dir: tempfile::tempdir().unwrap() },
    ]
}

fn put(key: &str, value: &str) -> Op {
    Op::Put(key.to_owned(), Bytes::copy_from_slice(value.as_bytes()))
}

async fn write(store: &dyn Store, key: &str, value: &str) -> Revision {
    store.txn(Vec::new(), vec![put(key, value)]).await.unwrap()
}

async fn next(watch: &mut Watch) -> WatchEvent {
    tokio::time::timeout(DEADLINE, watch.next()).await.expect("an event comes in time").expect("the watch goes on")
}

/// The next event that is not mere progress.
async fn change(watch: &mut Watch) -> WatchEvent {
    loop {
        match next(watch).await {
            WatchEvent::Progress(_) => {}
            event => return event,
        }
    }
}

fn key_of(event: &WatchEvent) -> &str {
    match event {
        WatchEvent::Put { key, .. } | WatchEvent::Delete { key, .. } => key,
        other => panic!("{other:?} has no key"),
    }
}

#[tokio::test]
async fn what_was_written_is_read_with_the_revision_that_wrote_it() {
    for Subject { store, _dir } in subjects() {
        let revision = write(&*store, "a", "1").await;
        let held = store.get("a").await.unwrap().unwrap();
        assert_eq!((&held.value[..], held.revision), (&b"1"[..], revision));
        assert_eq!(store.get("b").await.unwrap(), None);
        assert_eq!(store.revision(), revision);
    }
}

#[tokio::test]
async fn one_revision_counts_the_transactions_of_all_keys() {
    for Subject { store, _dir } in subjects() {
        let first = write(&*store, "a", "1").await;
        let both = store.txn(Vec::new(), vec![put("b", "1"), put("c", "1")]).await.unwrap();
        assert_eq!(both, Revision(first.0 + 1));
        assert_eq!(store.get("b").await.unwrap().unwrap().revision, both);
        assert_eq!(store.get("c").await.unwrap().unwrap().revision, both);
    }
}

#[tokio::test]
async fn a_transaction_that_changes_nothing_takes_no_revision() {
    for Subject { store, _dir } in subjects() {
        let before = write(&*store, "a", "1").await;
        let delete = store.txn(Vec::new(), vec![Op::Delete("none".to_owned())]).await.unwrap();
        let compare = store.txn(vec![Compare::At("a".to_owned(), before)], Vec::new()).await.unwrap();
        assert_eq!((delete, compare), (before, before));
    }
}

#[tokio::test]
async fn a_comparison_that_does_not_hold_leaves_everything_as_it_was_and_says_where_it_stands() {
    for Subject { store, _dir } in subjects() {
        let first = write(&*store, "a", "1").await;
        let second = write(&*store, "a", "2").await;
        let ops = vec![put("a", "3"), put("b", "3")];
        let refused = store.txn(vec![Compare::At("a".to_owned(), first)], ops).await;
        assert_eq!(refused, Err(StoreError::Conflict { key: "a".to_owned(), current: Some(second) }));
        let absent = store.txn(vec![Compare::Absent("a".to_owned())], vec![put("a", "3")]).await;
        assert_eq!(absent, Err(StoreError::Conflict { key: "a".to_owned(), current: Some(second) }));
        let gone = store.txn(vec![Compare::At("b".to_owned(), first)], vec![put("b", "3")]).await;
        assert_eq!(gone, Err(StoreError::Conflict { key: "b".to_owned(), current: None }));
        assert_eq!(store.get("a").await.unwrap().unwrap().value, "2");
        assert_eq!(store.get("b").await.unwrap(), None);
    }
}

#[tokio::test]
async fn of_many_that_create_the_same_key_at_once_one_succeeds() {
    for Subject { store, _dir } in subjects() {
        let create = |n: usize| {
            let ops = vec![put("a", &n.to_string())];
            store.txn(vec![Compare::Absent("a".to_owned())], ops)
        };
        let results = futures::future::join_all((0..64).map(create)).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    }
}

#[tokio::test]
async fn counters_that_many_swap_at_once_lose_nothing() {
    for Subject { store, _dir } in subjects() {
        write(&*store, "n", "0").await;
        let increment = || async {
            loop {
                let held = store.get("n").await.unwrap().unwrap();
                let n: u32 = std::str::from_utf8(&held.value).unwrap().parse().unwrap();
                let compare = vec![Compare::At("n".to_owned(), held.revision)];
                if store.txn(compare, vec![put("n", &(n + 1).to_string())]).await.is_ok() {
                    return;
                }
            }
        };
        futures::future::join_all((0..64).map(|_| increment())).await;
        assert_eq!(store.get("n").await.unwrap().unwrap().value, "64");
    }
}

#[tokio::test]
async fn a_listing_is_ordered_and_read_page_by_page() {
    for Subject { store, _dir } in subjects() {
        for key in ["b/2", "b/1", "a/1", "b/3", "c/1"] {
            write(&*store, key, key).await;
        }
        let first = store.list("b/", 2, None).await.unwrap();
        assert_eq!(first.items.iter().map(|item| &*item.key).collect::<Vec<_>>(), ["b/1", "b/2"]);
        assert_eq!((first.remaining, first.revision), (1, store.revision()));
        let second = store.list("b/", 2, Some("b/2")).await.unwrap();
        assert_eq!(second.items.iter().map(|item| &*item.key).collect::<Vec<_>>(), ["b/3"]);
        assert_eq!(second.remaining, 0);
    }
}

#[tokio::test]
async fn a_watch_tells_what_came_after_its_revision_in_order_with_what_was_there_before() {
    for Subject { store, _dir } in subjects() {
        let from = write(&*store, "a/1", "old").await;
        write(&*store, "a/1", "new").await;
        write(&*store, "b/1", "other").await;
        store.txn(Vec::new(), vec![Op::Delete("a/1".to_owned())]).await.unwrap();
        let mut watch = store.watch("a/", from);
        let WatchEvent::Put { value, previous, .. } = change(&mut watch).await else { panic!("a put comes first") };
        assert_eq!((value, previous.unwrap().value), (Bytes::from("new"), Bytes::from("old")));
        let WatchEvent::Delete { previous, .. } = change(&mut watch).await else { panic!("then the delete") };
        assert_eq!(previous.value, "new");
        assert_eq!(next(&mut watch).await, WatchEvent::Progress(store.revision()));
        write(&*store, "a/2", "live").await;
        assert_eq!(key_of(&change(&mut watch).await), "a/2");
    }
}

#[tokio::test]
async fn watchers_see_the_changes_of_concurrent_writers_in_the_order_of_their_revisions() {
    for Subject { store, _dir } in subjects() {
        let mut watch = store.watch("k", store.revision());
        let keys: Vec<_> = (0..6).map(|n| format!("k{n}")).collect();
        futures::future::join_all(keys.iter().map(|key| write(&*store, key, "1"))).await;
        let mut last = Revision(0);
        for _ in &keys {
            let WatchEvent::Put { revision, .. } = change(&mut watch).await else { panic!("only puts") };
            assert!(revision > last);
            last = revision;
        }
    }
}

#[tokio::test]
async fn a_watcher_is_told_to_list_again_when_what_it_asks_for_is_no_longer_kept() {
    for Subject { store, _dir } in subjects() {
        let early = write(&*store, "a", "0").await;
        for n in 1..=SMALL_LOG.changes + 1 {
            write(&*store, "a", &n.to_string()).await;
        }
        let mut watch = store.watch("a", early);
        assert_eq!(next(&mut watch).await, WatchEvent::Compacted);
        assert_eq!(watch.next().await, None);
        let late = Revision(store.revision().0 - 1);
        assert_eq!(key_of(&change(&mut store.watch("a", late)).await), "a");
    }
}

#[tokio::test]
async fn a_watcher_of_a_revision_that_is_yet_to_come_is_told_to_list_again() {
    for Subject { store, _dir } in subjects() {
        let later = Revision(store.revision().0 + 1);
        assert_eq!(next(&mut store.watch("", later)).await, WatchEvent::Compacted);
    }
}

#[tokio::test]
async fn what_is_larger_than_the_limits_is_refused_and_said() {
    for Subject { store, _dir } in subjects() {
        let large = Op::Put("a".to_owned(), Bytes::from(vec![0; super::MAX_VALUE_BYTES + 1]));
        let refused = store.txn(Vec::new(), vec![large]).await.unwrap_err();
        assert!(matches!(refused, StoreError::TooLarge { what: "an object", .. }), "{refused}");
        let fits = Op::Put("a".to_owned(), Bytes::from(vec![0; super::MAX_VALUE_BYTES]));
        store.txn(Vec::new(), vec![fits]).await.unwrap();
        let long = put(&"k".repeat(super::MAX_KEY_BYTES + 1), "");
        assert!(store.txn(Vec::new(), vec![long]).await.is_err());
        let many = (0..=super::MAX_TXN).map(|n| put(&n.to_string(), "")).collect();
        assert!(store.txn(Vec::new(), many).await.is_err());
    }
}

#[tokio::test]
async fn a_list_of_an_earlier_revision_is_as_it_was_until_that_is_forgotten() {
    for Subject { store, _dir } in subjects() {
        for key in ["a/1", "a/2", "a/3", "b/1"] {
            write(&*store, key, "old").await;
        }
        let then = store.list("a/", 1, None).await.unwrap();
        write(&*store, "a/2", "new").await;
        write(&*store, "a/15", "new").await;
        write(&*store, "a/4", "new").await;
        store.txn(Vec::new(), vec![Op::Delete("a/3".to_owned())]).await.unwrap();
        let rest = store.list_as_of(then.revision, "a/", 1, Some("a/1")).await.unwrap().unwrap();
        let told = |item: &super::Item| (item.key.to_string(), item.value.clone(), item.revision < then.revision);
        assert_eq!(rest.items.iter().map(told).collect::<Vec<_>>(), [("a/2".to_owned(), Bytes::from("old"), true)]);
        assert_eq!((rest.remaining, rest.revision), (1, then.revision));
        let last = store.list_as_of(then.revision, "a/", 9, Some("a/2")).await.unwrap().unwrap();
        assert_eq!((last.items.len(), &*last.items[0].key, last.remaining), (1, "a/3", 0));
        for n in 0..SMALL_LOG.changes {
            write(&*store, &format!("b/{n}"), "much").await;
        }
        assert_eq!(store.list_as_of(then.revision, "a/", 9, None).await.unwrap(), None);
        let future = Revision(store.revision().0 + 1);
        assert_eq!(store.list_as_of(future, "a/", 9, None).await.unwrap(), None);
    }
}
