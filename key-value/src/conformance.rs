//! What every key-value store must do. Each test runs on each store.

use std::{path::Path, sync::Arc};

use api::{Bucket, KeyValue, KeyValueError};
use bytes::Bytes;
use futures::future::join_all;
use registry_client::{DiskReserve, RESERVE_FLAG};
use store::{
    encryption::EncryptionKeys,
    testing::{self, Full, file_on},
};

use super::{
    BYTES_FLAG, KEYS_FLAG, MAX_BATCH, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_PAGE, MAX_VALUE_BYTES, MemoryKeyValue, Quota,
    RedbKeyValue, RedisKeyValue, RedisSettings, SealedKeyValue, redis::server::Server,
};

struct Subject {
    store: Arc<dyn KeyValue>,
    _redis: Option<Server>,
    _dir: tempfile::TempDir,
}

/// A store, and the server behind it if there is one.
type Made = (Arc<dyn KeyValue>, Option<Server>);

fn subjects() -> Vec<Subject> {
    subjects_within(Quota::default())
}

fn subjects_within(quota: Quota) -> Vec<Subject> {
    let subject = |make: &dyn Fn(&Path) -> Made| {
        let dir = tempfile::tempdir().unwrap();
        let (store, redis) = make(dir.path());
        (store, redis, dir)
    };
    // Each as it is and encrypted.
    let stores = || {
        vec![
            subject(&|dir| (Arc::new(open_redb(dir, quota)), None)),
            subject(&|_| (Arc::new(MemoryKeyValue::new(quota)), None)),
            subject(&|dir| {
                let server = Server::start(dir);
                let settings = RedisSettings::parse(&server.url(), None).unwrap();
                (Arc::new(RedisKeyValue::new(settings, Arc::new(transport::DirectConnect), quota)), Some(server))
            }),
        ]
    };
    let with = |keys: EncryptionKeys| {
        stores().into_iter().map(move |(store, redis, dir)| Subject {
            store: Arc::new(SealedKeyValue::new(store, keys.clone())),
            _redis: redis,
            _dir: dir,
        })
    };
    let plain = with(EncryptionKeys::default());
    // What is sealed is longer, and so counts for more than the small quotas of tests.
    match quota == Quota::default() {
        true => plain.chain(with(testing::key("a", 1))).collect(),
        false => plain.collect(),
    }
}

fn open_redb(dir: &Path, quota: Quota) -> RedbKeyValue {
    RedbKeyValue::open(&dir.join("keyvalue.redb"), quota, DiskReserve::default()).unwrap()
}

fn bucket(namespace: &str, name: &str) -> Bucket {
    Bucket { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn entry(key: &str, value: &str) -> (String, Bytes) {
    (key.to_owned(), Bytes::copy_from_slice(value.as_bytes()))
}

async fn get(store: &dyn KeyValue, bucket: &Bucket, key: &str) -> Option<Bytes> {
    store.get(bucket, vec![key.to_owned()]).await.unwrap().remove(0)
}

#[tokio::test]
async fn values_are_read_in_the_order_in_which_they_were_asked_for() {
    for subject in subjects() {
        let store = &subject.store;
        let carts = bucket("shop", "carts");
        store.set(&carts, vec![entry("a", "1"), entry("b", "2")]).await.unwrap();
        let keys = ["b", "none", "a"].map(str::to_owned).to_vec();
        let values = store.get(&carts, keys).await.unwrap();
        assert_eq!(values, [Some(Bytes::from("2")), None, Some(Bytes::from("1"))]);
        store.delete(&carts, vec!["a".to_owned(), "none".to_owned()]).await.unwrap();
        assert_eq!(get(&**store, &carts, "a").await, None);
    }
}

#[tokio::test]
async fn buckets_and_namespaces_are_apart() {
    for subject in subjects() {
        let store = &subject.store;
        let (mine, other_bucket, other_namespace) = (bucket("a", "b"), bucket("a", "bc"), bucket("ab", "b"));
        store.set(&mine, vec![entry("k", "mine")]).await.unwrap();
        store.set(&other_bucket, vec![entry("k", "bucket")]).await.unwrap();
        for other in [&other_bucket, &other_namespace] {
            assert_ne!(get(&**store, other, "k").await, Some(Bytes::from("mine")));
        }
        let listing = store.list(&mine, None, 10).await.unwrap();
        assert_eq!((listing.keys.len(), listing.cursor), (1, None));
    }
}

#[tokio::test]
async fn listings_go_page_by_page_and_end() {
    for subject in subjects() {
        let store = &subject.store;
        let carts = bucket("shop", "carts");
        let entries = (0..5).map(|n| entry(&format!("k{n}"), "v")).collect();
        store.set(&carts, entries).await.unwrap();
        let mut keys = Vec::new();
        let mut cursor = None;
        loop {
            let page = store.list(&carts, cursor, 2).await.unwrap();
            keys.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(keys, ["k0", "k1", "k2", "k3", "k4"]);
    }
}

#[tokio::test]
async fn increments_of_many_at_once_lose_nothing_and_need_a_number() {
    for subject in subjects() {
        let store = &subject.store;
        let counts = bucket("shop", "counts");
        join_all((0..64).map(|_| store.increment(&counts, "n".to_owned(), 2))).await.into_iter().for_each(|sum| {
            sum.unwrap();
        });
        assert_eq!(get(&**store, &counts, "n").await.unwrap(), "128");
        store.set(&counts, vec![entry("text", "x"), entry("max", &i64::MAX.to_string())]).await.unwrap();
        for key in ["text", "max"] {
            let refused = store.increment(&counts, key.to_owned(), 1).await.unwrap_err();
            assert!(matches!(refused, KeyValueError::NotANumber { .. }), "{refused}");
        }
    }
}

#[tokio::test]
async fn sixty_four_that_swap_the_same_key_at_once_lose_nothing() {
    for subject in subjects() {
        let store = &subject.store;
        let carts = bucket("shop", "carts");
        let add = |n: usize| {
            let (store, carts) = (store.clone(), carts.clone());
            async move {
                loop {
                    let current = get(&*store, &carts, "cart").await;
                    let mut items = current.clone().map_or_else(Vec::new, |items| items.to_vec());
                    items.push(u8::try_from(n).unwrap());
                    if store.swap(&carts, "cart".to_owned(), current, items.into()).await.unwrap() {
                        return;
                    }
                }
            }
        };
        join_all((0..64).map(|n| tokio::spawn(add(n)))).await.into_iter().for_each(|task| task.unwrap());
        let mut items = get(&**store, &carts, "cart").await.unwrap().to_vec();
        items.sort_unstable();
        assert_eq!(items, (0..64).collect::<Vec<u8>>());
    }
}

#[tokio::test]
async fn a_swap_is_refused_where_something_else_is_there() {
    for subject in subjects() {
        let store = &subject.store;
        let carts = bucket("shop", "carts");
        assert!(!store.swap(&carts, "a".to_owned(), Some("1".into()), "2".into()).await.unwrap());
        assert!(store.swap(&carts, "a".to_owned(), None, "1".into()).await.unwrap());
        assert!(!store.swap(&carts, "a".to_owned(), None, "2".into()).await.unwrap());
        assert_eq!(get(&**store, &carts, "a").await.unwrap(), "1");
    }
}

#[tokio::test]
async fn a_batch_with_an_entry_that_is_too_large_writes_nothing() {
    for subject in subjects() {
        let store = &subject.store;
        let carts = bucket("shop", "carts");
        let large = ("b".to_owned(), Bytes::from(vec![0; MAX_VALUE_BYTES + 1]));
        let refused = store.set(&carts, vec![entry("a", "1"), large]).await.unwrap_err();
        assert!(matches!(refused, KeyValueError::TooLarge { what: "value", .. }), "{refused}");
        assert_eq!(get(&**store, &carts, "a").await, None);
        let refused = store.get(&carts, vec!["k".repeat(MAX_KEY_BYTES + 1)]).await.unwrap_err();
        assert!(matches!(refused, KeyValueError::TooLarge { what: "key", .. }), "{refused}");
        store.set(&carts, vec![("k".repeat(MAX_KEY_BYTES), Bytes::new())]).await.unwrap();
    }
}

#[tokio::test]
async fn values_that_are_too_many_for_one_call_are_neither_written_nor_read() {
    for subject in subjects() {
        let store = &subject.store;
        let carts = bucket("shop", "carts");
        let keys: Vec<String> = (0..=MAX_BATCH_BYTES / MAX_VALUE_BYTES).map(|n| n.to_string()).collect();
        let value = Bytes::from(vec![0; MAX_VALUE_BYTES]);
        let all = keys.iter().map(|key| (key.clone(), value.clone())).collect();
        let refused = store.set(&carts, all).await.unwrap_err();
        assert!(matches!(refused, KeyValueError::TooLarge { what: "batch", .. }), "{refused}");
        assert_eq!(store.list(&carts, None, 1).await.unwrap().keys.len(), 0);
        for key in &keys {
            store.set(&carts, vec![(key.clone(), value.clone())]).await.unwrap();
        }
        let refused = store.get(&carts, keys.clone()).await.unwrap_err();
        assert!(matches!(refused, KeyValueError::TooLarge { what: "batch", .. }), "{refused}");
        assert_eq!(store.get(&carts, keys[1..].to_vec()).await.unwrap(), vec![Some(value); keys.len() - 1]);
        let many = vec!["k".to_owned(); MAX_BATCH + 1];
        for refused in
            [store.get(&carts, many.clone()).await.unwrap_err(), store.delete(&carts, many).await.unwrap_err()]
        {
            assert!(matches!(refused, KeyValueError::TooMany { count: 513, limit: MAX_BATCH }), "{refused}");
        }
    }
}

#[tokio::test]
async fn more_bytes_than_there_is_room_for_are_not_read_and_it_is_said_how_many_there_are() {
    for subject in subjects() {
        let store = &subject.store;
        let carts = bucket("shop", "carts");
        store.set(&carts, vec![entry("a", "12345"), entry("b", "6789"), entry("empty", "")]).await.unwrap();
        let both = || vec!["a".to_owned(), "b".to_owned()];
        let refused = store.get_within(&carts, both(), 8).await.unwrap_err();
        assert!(
            matches!(refused, KeyValueError::TooLarge { what: "batch", bytes: 9.., limit_bytes: 8 }),
            "{refused:?}"
        );
        assert_eq!(store.get_within(&carts, both(), 9).await.unwrap().len(), 2);
        assert!(store.get_within(&carts, vec!["a".to_owned()], 0).await.is_err());
        let nothing = store.get_within(&carts, vec!["empty".to_owned(), "none".to_owned()], 0).await.unwrap();
        assert_eq!(nothing, vec![Some(Bytes::new()), None]);
    }
}

/// How often others can go on until there is an answer.
async fn pauses<T>(work: impl Future<Output = T>) -> usize {
    let mut work = std::pin::pin!(work);
    let mut pauses = 0;
    while futures::poll!(&mut work).is_pending() {
        pauses += 1;
    }
    pauses
}

#[tokio::test]
async fn large_values_and_many_keys_are_read_opened_and_sealed_in_pieces_between_which_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn KeyValue> = Arc::new(open_redb(dir.path(), Quota::default()));
    let carts = bucket("shop", "carts");
    let keys = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let value = |bytes: usize| Bytes::from(vec![0; bytes]);
    store.set(&carts, keys(MAX_BATCH).into_iter().map(|key| (key, value(4000))).collect()).await.unwrap();
    store.set(&carts, vec![("large".to_owned(), value(MAX_VALUE_BYTES))]).await.unwrap();
    assert_eq!(pauses(store.get(&carts, keys(1))).await, 0);
    assert!(pauses(store.get(&carts, keys(MAX_BATCH))).await >= MAX_BATCH / 32 - 1);
    // It is found and copied.
    assert_eq!(pauses(store.get(&carts, vec!["large".to_owned()])).await, 1);

    let sealed = SealedKeyValue::new(Arc::new(MemoryKeyValue::new(Quota::default())), testing::key("a", 1));
    let large = || keys(8).into_iter().map(|key| (key, value(MAX_BATCH_BYTES / 8))).collect::<Vec<_>>();
    assert!(pauses(sealed.set(&carts, large())).await >= 4);
    assert!(pauses(sealed.get(&carts, keys(8))).await >= 4);
    sealed.set(&carts, vec![entry("small", "1")]).await.unwrap();
    assert_eq!(pauses(sealed.get(&carts, vec!["small".to_owned()])).await, 0);
}

#[tokio::test]
async fn keys_and_values_are_any_text_and_any_bytes_and_none_at_all() {
    for subject in subjects() {
        let store = &subject.store;
        // Names that would be others if they were put together without care.
        let carts = bucket("shop", "ca}rts:keys");
        let keys = ["", "\0", "(a", "[a", "+", "-", "a b\r\n", "ä", "{x}"].map(str::to_owned);
        let entries: Vec<_> = keys.iter().map(|key| (key.clone(), Bytes::from(vec![0, 255, 13, 10]))).collect();
        store.set(&carts, entries.clone()).await.unwrap();
        let values = store.get(&carts, keys.to_vec()).await.unwrap();
        assert!(values.iter().all(|value| value.as_ref() == Some(&entries[0].1)));
        let mut sorted = keys.to_vec();
        sorted.sort();
        let (mut listed, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.list(&carts, cursor, 1).await.unwrap();
            listed.extend(page.keys);
            match page.cursor {
                None => break,
                next => cursor = next,
            }
        }
        assert_eq!(listed, sorted);
        store.set(&carts, Vec::new()).await.unwrap();
        store.delete(&carts, Vec::new()).await.unwrap();
        assert_eq!(store.get(&carts, Vec::new()).await.unwrap(), Vec::<Option<Bytes>>::new());
        store.delete(&carts, keys.to_vec()).await.unwrap();
        assert_eq!(store.list(&carts, None, 10).await.unwrap().keys.len(), 0);
    }
}

#[tokio::test]
async fn a_listing_goes_on_where_it_was_whatever_has_come_and_gone() {
    for subject in subjects() {
        let store = &subject.store;
        let carts = bucket("shop", "carts");
        store.set(&carts, (0..6).map(|n| entry(&format!("k{n}"), "v")).collect()).await.unwrap();
        let first = store.list(&carts, None, 3).await.unwrap();
        assert_eq!(first.cursor.as_deref(), Some("k2"));
        store.delete(&carts, ["k0", "k2", "k3"].map(str::to_owned).to_vec()).await.unwrap();
        store.set(&carts, vec![entry("k1x", "v"), entry("k3x", "v")]).await.unwrap();
        let rest = store.list(&carts, first.cursor, MAX_PAGE + 1).await.unwrap();
        assert_eq!((rest.keys, rest.cursor), (["k3x", "k4", "k5"].map(str::to_owned).to_vec(), None));
    }
}

#[tokio::test]
async fn what_is_incremented_is_any_number_that_text_can_say_and_any_sum_that_fits() {
    for subject in subjects() {
        let store = &subject.store;
        let counts = bucket("shop", "counts");
        for (stored, delta, sum) in [
            ("+5", 1, 6),
            ("007", 1, 8),
            ("-0", 0, 0),
            ("-000", -1, -1),
            ("-12", 2, -10),
            ("9007199254740993", 2, 9_007_199_254_740_995),
            ("-9223372036854775808", i64::MAX, -1),
            ("9223372036854775807", i64::MIN, -1),
            ("0", i64::MIN, i64::MIN),
        ] {
            store.set(&counts, vec![entry("n", stored)]).await.unwrap();
            assert_eq!(store.increment(&counts, "n".to_owned(), delta).await.unwrap(), sum, "{stored}");
            assert_eq!(get(&**store, &counts, "n").await.unwrap(), sum.to_string());
        }
        for stored in ["", "-", " 1", "1 ", "1.0", "0x1", "1e3", "9223372036854775808", "00000099999999999999999999"] {
            store.set(&counts, vec![entry("n", stored)]).await.unwrap();
            let refused = store.increment(&counts, "n".to_owned(), 1).await.unwrap_err();
            assert!(matches!(refused, KeyValueError::NotANumber { .. }), "{stored}: {refused}");
            assert_eq!(get(&**store, &counts, "n").await.unwrap(), stored);
        }
        store.set(&counts, vec![entry("n", "-00009223372036854775807")]).await.unwrap();
        assert!(store.increment(&counts, "n".to_owned(), -2).await.is_err());
        assert_eq!(get(&**store, &counts, "n").await.unwrap(), "-00009223372036854775807");
        assert_eq!(store.increment(&counts, "new".to_owned(), -3).await.unwrap(), -3);
        assert_eq!(store.list(&counts, None, 10).await.unwrap().keys, ["n", "new"]);
    }
}

#[tokio::test]
async fn on_a_full_disk_writes_fail_and_say_so_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyvalue.redb");
    let full = Full::default();
    let store = RedbKeyValue::of_file(file_on(&path, full.clone()), Quota::default(), DiskReserve::default()).unwrap();
    let carts = bucket("shop", "carts");
    store.set(&carts, vec![entry("before", "1")]).await.unwrap();
    full.set(true);
    let mut written = 0;
    let refused = loop {
        match store.set(&carts, vec![(format!("k{written}"), Bytes::from(vec![0; 1 << 20]))]).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    let told = refused.to_string();
    assert!(told.contains("full") && !told.contains(dir.path().to_str().unwrap()), "guests are told no path: {told}");
    assert_eq!(get(&store, &carts, "before").await.unwrap(), "1");
    full.set(false);
    store.set(&carts, vec![entry("after", "1")]).await.unwrap();
    drop(store);
    let store = open_redb(dir.path(), Quota::default());
    assert_eq!(store.list(&carts, None, 1000).await.unwrap().keys.len(), written + 2);
}

fn refused_by(result: Result<impl std::fmt::Debug, KeyValueError>, flag: &str) {
    let refused = result.unwrap_err();
    assert!(matches!(refused, KeyValueError::NoRoom(_)), "{refused}");
    assert!(refused.to_string().contains(flag), "{refused}");
}

#[tokio::test]
async fn a_namespace_keeps_no_more_bytes_than_its_quota_in_all_its_buckets_and_gets_back_what_it_deletes() {
    for subject in subjects_within(Quota { bytes: 100, keys: 1000 }) {
        let store = &subject.store;
        let (carts, orders, others) = (bucket("shop", "carts"), bucket("shop", "orders"), bucket("other", "carts"));
        let bytes = |key: &str, bytes: usize| (key.to_owned(), Bytes::from(vec![b'1'; bytes]));
        store.set(&carts, vec![bytes("a", 49)]).await.unwrap();
        store.set(&orders, vec![bytes("b", 49)]).await.unwrap();
        refused_by(store.set(&orders, vec![bytes("c", 0)]).await, BYTES_FLAG);
        refused_by(store.set(&carts, vec![bytes("a", 10), bytes("c", 80)]).await, BYTES_FLAG);
        assert_eq!(
            get(&**store, &carts, "a").await.unwrap().len(),
            49,
            "of a batch that is refused nothing is written"
        );
        refused_by(
            store.swap(&carts, "a".to_owned(), Some(vec![b'1'; 49].into()), vec![0; 50].into()).await,
            BYTES_FLAG,
        );
        refused_by(store.increment(&carts, "n".to_owned(), 1).await, BYTES_FLAG);
        assert_eq!(get(&**store, &carts, "n").await, None);
        store.set(&others, vec![bytes("a", 99)]).await.expect("another namespace has a quota of its own");
        // One for another is fine, also of the same size and of a smaller one.
        store.set(&carts, vec![bytes("a", 49)]).await.unwrap();
        store.set(&carts, vec![bytes("a", 9), bytes("a", 9)]).await.unwrap();
        store.set(&orders, vec![bytes("c", 39)]).await.unwrap();
        refused_by(store.set(&orders, vec![bytes("d", 0)]).await, BYTES_FLAG);
        store.delete(&orders, ["b", "none", "b"].map(str::to_owned).to_vec()).await.unwrap();
        assert!(store.swap(&orders, "d".to_owned(), None, vec![0; 49].into()).await.unwrap());
        refused_by(store.increment(&carts, "n".to_owned(), 1).await, BYTES_FLAG);
    }
}

#[tokio::test]
async fn a_namespace_has_no_more_keys_than_its_quota() {
    for subject in subjects_within(Quota { bytes: 1 << 20, keys: 3 }) {
        let (store, carts) = (&subject.store, bucket("shop", "carts"));
        store.set(&carts, vec![entry("a", ""), entry("b", ""), entry("a", "1")]).await.unwrap();
        assert_eq!(store.increment(&bucket("shop", "counts"), "n".to_owned(), 1).await.unwrap(), 1);
        refused_by(store.set(&carts, vec![entry("c", "")]).await, KEYS_FLAG);
        refused_by(store.swap(&carts, "c".to_owned(), None, "1".into()).await, KEYS_FLAG);
        refused_by(store.increment(&carts, "c".to_owned(), 1).await, KEYS_FLAG);
        store.set(&carts, vec![entry("b", "a larger value")]).await.unwrap();
        store.delete(&carts, vec!["a".to_owned()]).await.unwrap();
        store.set(&carts, vec![entry("c", "")]).await.unwrap();
    }
}

#[tokio::test]
async fn increments_of_many_at_once_count_as_what_they_leave() {
    for subject in subjects_within(Quota { bytes: 1000, keys: 1 }) {
        let (store, counts) = (&subject.store, bucket("shop", "counts"));
        for result in join_all((0..200).map(|_| store.increment(&counts, "n".to_owned(), 1))).await {
            result.unwrap();
        }
        let swapped = store.swap(&counts, "n".to_owned(), Some("200".into()), vec![0; 999].into()).await.unwrap();
        assert!(swapped, "as many bytes are left as the three digits and their key do not take");
    }
}

#[tokio::test]
async fn what_a_namespace_keeps_is_known_after_a_restart_and_counted_where_it_never_was() {
    let dir = tempfile::tempdir().unwrap();
    let (quota, carts) = (Quota { bytes: 100, keys: 10 }, bucket("shop", "carts"));
    let store = open_redb(dir.path(), quota);
    store.set(&carts, vec![("a".to_owned(), Bytes::from(vec![0; 98]))]).await.unwrap();
    drop(store);
    let store = open_redb(dir.path(), quota);
    refused_by(store.set(&carts, vec![entry("b", "1")]).await, BYTES_FLAG);
    drop(store);
    // As a version that did not count has left it.
    let database = redb::Database::open(dir.path().join("keyvalue.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    assert!(transaction.delete_table(super::redb::USAGE).unwrap());
    transaction.commit().unwrap();
    drop(database);
    let store = open_redb(dir.path(), quota);
    refused_by(store.set(&carts, vec![entry("b", "1")]).await, BYTES_FLAG);
    store.set(&carts, vec![entry("b", "")]).await.unwrap();
}

#[tokio::test]
async fn below_the_reserve_of_the_disk_nothing_is_written_and_deleting_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let carts = bucket("shop", "carts");
    let store = open_redb(dir.path(), Quota::default());
    store.set(&carts, vec![entry("a", "1")]).await.unwrap();
    drop(store);
    let reserve = DiskReserve::of(dir.path(), Some(u64::MAX));
    let store = RedbKeyValue::open(&dir.path().join("keyvalue.redb"), Quota::default(), reserve).unwrap();
    refused_by(store.set(&carts, vec![entry("b", "1")]).await, RESERVE_FLAG);
    refused_by(store.increment(&carts, "a".to_owned(), 1).await, RESERVE_FLAG);
    refused_by(store.swap(&carts, "a".to_owned(), Some("1".into()), "2".into()).await, RESERVE_FLAG);
    assert_eq!(get(&store, &carts, "a").await.unwrap(), "1");
    store.delete(&carts, vec!["a".to_owned()]).await.unwrap();
    assert_eq!(get(&store, &carts, "a").await, None);
}
