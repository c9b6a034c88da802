//! What only a durable store must do: outlive its process, refuse what is damaged, and survive a full disk.

use std::path::Path;

use bytes::Bytes;
use futures::StreamExt;

use super::{Op, RedbStore, Revision, Store, StoreError, WatchEvent, index::LogLimit};
use crate::{
    OpenError,
    encryption::EncryptionKeys,
    testing::{self, Full, file_on, key},
};

async fn put(store: &RedbStore, key: &str, value: impl Into<Bytes>) -> Result<Revision, StoreError> {
    store.txn(Vec::new(), vec![Op::Put(key.to_owned(), value.into())]).await
}

#[tokio::test]
async fn everything_that_was_answered_is_there_when_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store = RedbStore::open(&path).unwrap();
    let first = put(&store, "a", "1").await.unwrap();
    let second = put(&store, "a", "2").await.unwrap();
    drop(store);
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(store.revision(), second);
    assert_eq!(store.get("a").await.unwrap().unwrap().revision, second);
    let WatchEvent::Put { previous, .. } = store.watch("a", first).next().await.unwrap() else { panic!("a put") };
    assert_eq!(previous.unwrap().value, "1");
    assert_eq!(put(&store, "b", "1").await.unwrap(), Revision(second.0 + 1));
}

#[tokio::test]
async fn what_was_answered_survives_a_process_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("store.redb"), dir.path().join("copy.redb"));
    let store = RedbStore::open(&path).unwrap();
    for n in 0..100 {
        put(&store, &format!("k{n}"), "v").await.unwrap();
    }
    // What a killed process leaves: the file as it stands while it is open.
    std::fs::copy(&path, &copy).unwrap();
    let reopened = RedbStore::open(&copy).unwrap();
    assert_eq!(reopened.list("k", usize::MAX, None).await.unwrap().items.len(), 100);
    assert_eq!(reopened.revision(), store.revision());
}

fn assert_damaged(path: &Path) {
    let refused = RedbStore::open(path).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    let message = refused.to_string();
    assert!(message.contains(&path.display().to_string()) && message.contains("mv "), "{message}");
}

async fn filled(path: &Path) {
    let store = RedbStore::open(path).unwrap();
    for n in 0..200 {
        put(&store, &format!("k{n}"), vec![b'v'; 4096]).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_something_else_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    std::fs::write(&path, "this is a text, and no database".repeat(1000)).unwrap();
    assert_damaged(&path);
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is a text"), "it is left as it was");
}

#[tokio::test]
async fn a_truncated_file_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    filled(&path).await;
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 3).unwrap();
    assert_damaged(&path);
}

#[tokio::test]
async fn a_file_whose_pages_were_overwritten_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    filled(&path).await;
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 4;
    bytes[8192..middle].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    assert_damaged(&path);
}

#[tokio::test]
async fn a_file_of_a_later_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    drop(RedbStore::open(&path).unwrap());
    super::redb::set_schema(&path, 99);
    let refused = RedbStore::open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::Schema { found: 99, .. }), "{refused}");
}

#[tokio::test]
async fn on_a_full_disk_writes_fail_reads_go_on_and_nothing_answered_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let full = Full::default();
    let store =
        RedbStore::of_file(file_on(&path, full.clone()), LogLimit::default(), EncryptionKeys::default()).unwrap();
    put(&store, "before", "1").await.unwrap();
    full.set(true);
    // Room that the file has already may still be used; then it is full.
    let mut written = 0;
    let refused = loop {
        match put(&store, &format!("k{written}"), vec![b'v'; 512 << 10]).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::DiskFull { .. }), "{refused}");
    assert_eq!(store.get("before").await.unwrap().unwrap().value, "1");
    assert_eq!(store.get(&format!("k{written}")).await.unwrap(), None);
    full.set(false);
    put(&store, "after", "1").await.unwrap();
    drop(store);
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(store.list("k", usize::MAX, None).await.unwrap().items.len(), written);
    assert!(store.get("before").await.unwrap().is_some() && store.get("after").await.unwrap().is_some());
}

#[tokio::test]
async fn a_key_can_be_given_changed_and_taken_away_and_nothing_is_lost_or_left_to_be_read() {
    const SECRET: &str = "a secret that is long enough to be looked for";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let (one, two) = (key("one", 1), key("two", 2));
    let both = |first: &str, second: &str| {
        let line = |name: &str| testing::line(name, if name == "one" { 1 } else { 2 });
        testing::keys(&(line(first) + &line(second)))
    };
    let is_readable = || {
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
    };
    let holds = |store: &RedbStore, revision: Revision| {
        let held = futures::executor::block_on(store.get("a")).unwrap().unwrap();
        assert_eq!((held.value, held.revision), (Bytes::from(SECRET), revision));
    };
    let store = RedbStore::open(&path).unwrap();
    let first = put(&store, "a", "before").await.unwrap();
    let revision = put(&store, "a", SECRET).await.unwrap();
    drop(store);
    assert!(is_readable());
    for keys in [one.clone(), one.clone(), both("two", "one"), two.clone()] {
        let store = RedbStore::open_encrypted(&path, keys).unwrap();
        holds(&store, revision);
        let WatchEvent::Put { previous, .. } = store.watch("a", first).next().await.unwrap() else { panic!("a put") };
        assert_eq!(previous.unwrap().value, "before");
        drop(store);
        assert!(!is_readable());
    }
    // Another key, the wrong one under the right name, and none.
    for keys in [one, key("two", 3), EncryptionKeys::default()] {
        let before = std::fs::read(&path).unwrap();
        let refused = RedbStore::open_encrypted(&path, keys).unwrap_err().to_string();
        assert!(refused.contains("store.redb") && refused.contains("`two`"), "{refused}");
        assert!(before == std::fs::read(&path).unwrap() || RedbStore::open_encrypted(&path, two.clone()).is_ok());
    }
    let plain = testing::keys(&format!("identity\n{}", testing::line("two", 2)));
    holds(&RedbStore::open_encrypted(&path, plain).unwrap(), revision);
    holds(&RedbStore::open(&path).unwrap(), revision);
    assert!(is_readable());
}

#[tokio::test]
async fn a_start_that_was_cut_off_while_it_wrote_anew_loses_nothing_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, unfinished) = (dir.path().join("store.redb"), dir.path().join("store.redb.sealing"));
    let (one, two) = (key("one", 1), key("two", 2));
    let both = testing::keys(&(testing::line("two", 2) + &testing::line("one", 1)));
    let store = RedbStore::open_encrypted(&path, one.clone()).unwrap();
    put(&store, "a", "1").await.unwrap();
    drop(store);
    // What it may leave: half a file, a whole one that was not renamed, and one of another rewriting that nobody wants any more.
    let half = || std::fs::write(&unfinished, [7; 4096]).unwrap();
    let whole = || drop(RedbStore::open(&unfinished).unwrap());
    for (leave, keys) in [(&half as &dyn Fn(), &one), (&whole, &one), (&half, &both), (&whole, &both), (&whole, &two)] {
        leave();
        let store = RedbStore::open_encrypted(&path, keys.clone()).unwrap();
        assert_eq!(store.get("a").await.unwrap().unwrap().value, "1");
        assert!(!unfinished.exists());
    }
    half();
    assert!(RedbStore::open(&path).is_err(), "it is encrypted");
    assert!(!unfinished.exists());
}
