//! Processes that are killed while they write: what was answered is there, each time.
//!
//! The test starts itself as the process that writes; it says each key once its write was answered.

#![allow(clippy::unwrap_used, reason = "a failing test may panic anywhere")]

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use api::{Bucket, KeyValue};
use bytes::Bytes;
use key_value::{Quota, RedbKeyValue};
use registry_client::DiskReserve;
use store::{Op, RedbStore, Store};

/// How often the process is killed.
const KILLS: u64 = 200;
/// Set in the process that writes: where it writes.
const WRITES_TO: &str = "SAMPAN_TEST_WRITES_TO";
/// Entries that are written at a time.
const AT_ONCE: usize = 8;

fn bucket() -> Bucket {
    Bucket { namespace: "shop".into(), name: "default".into() }
}

#[test]
fn a_process_that_is_killed_200_times_while_it_writes_loses_no_write_that_was_answered() {
    if let Some(folder) = env::var_os(WRITES_TO) {
        return write_for_ever(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut answered = BTreeSet::new();
    for round in 0..KILLS {
        // Each time at another moment: while it opens, while it writes, while it commits.
        answered.extend(write_and_kill(folder.path(), Duration::from_millis(round * 7 % 90)));
        assert_all_there(folder.path(), &answered);
    }
    assert!(answered.len() > 1000, "only {} writes were answered", answered.len());
}

/// What was answered before the end. Both stores are written at the same time, so that each kill is one for either.
fn write_and_kill(folder: &Path, after: Duration) -> Vec<String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_process_that_is_killed_200_times_while_it_writes_loses_no_write_that_was_answered"])
        .arg("--nocapture")
        .env(WRITES_TO, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let opened = lines.by_ref().any(|line| line.ends_with("open"));
    assert!(opened, "the process that writes could not open what the last one left");
    let began = Instant::now();
    let reader = std::thread::spawn(move || lines.filter(|line| line.starts_with("key-")).collect::<Vec<_>>());
    std::thread::sleep(after.saturating_sub(began.elapsed()));
    child.kill().unwrap();
    child.wait().unwrap();
    let mut keys = reader.join().unwrap();
    // The last line may have been cut.
    keys.retain(|key| key.ends_with('.'));
    keys
}

fn open_entries(folder: &Path) -> Result<RedbKeyValue, store::OpenError> {
    RedbKeyValue::open(&folder.join("keyvalue.redb"), Quota::default(), DiskReserve::default())
}

fn write_for_ever(folder: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Arc::new(RedbStore::open(&folder.join("store.redb")).unwrap());
    let entries = Arc::new(open_entries(folder).unwrap());
    say("open");
    runtime.block_on(async {
        let writers = (0..AT_ONCE).map(|writer| {
            let (store, entries) = (store.clone(), entries.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    let key = format!("key-{}-{writer}-{number}.", std::process::id());
                    let value = Bytes::from(key.clone());
                    let op = Op::Put(key.clone(), value.clone());
                    store.txn(Vec::new(), vec![op]).await.unwrap();
                    entries.set(&bucket(), vec![(key.clone(), value)]).await.unwrap();
                    say(&key);
                }
            })
        });
        futures::future::join_all(writers.collect::<Vec<_>>()).await;
    });
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "\n{line}").and_then(|()| stdout.flush());
}

fn assert_all_there(folder: &Path, answered: &BTreeSet<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = RedbStore::open(&folder.join("store.redb")).expect("it starts again by itself");
    let entries = open_entries(folder).expect("it starts again by itself");
    runtime.block_on(async {
        for key in answered {
            let value = store.get(key).await.unwrap().unwrap_or_else(|| panic!("{key} is lost")).value;
            assert_eq!(value, key.as_bytes());
        }
        let keys: Vec<String> = answered.iter().cloned().collect();
        for keys in keys.chunks(64) {
            let values = entries.get(&bucket(), keys.to_vec()).await.unwrap();
            let lost = keys.iter().zip(values).find(|(_, value)| value.is_none());
            assert!(lost.is_none(), "{lost:?} is lost");
        }
    });
}
