use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::Arc,
    time::Duration,
};

use api::{Bucket, KeyValue, KeyValueError, Listing};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, ready};
use redb::ReadableTable;
use store::{
    OpenError,
    encryption::{self, EncryptionKeys, Failure, MAX_SEAL_BYTES},
};
use tokio::sync::Mutex;

use super::{
    limits::{
        BYTES_IN_A_ROW, MAX_PAGE, MAX_STORED_VALUE_BYTES, check_keys, check_read, check_written, check_written_value,
        incremented,
    },
    redb::{CACHE_BYTES, ENTRIES, NO_ENTRIES, SEALED_ENTRIES, entries_of},
    redis::RedisKeyValue,
};

/// Keys whose entries are changed in this process go by one of so many locks.
const LOCKS: usize = 64;
/// A value of more bytes is sealed and opened beside the thread that asks, which may serve others: so many take some 0.2 ms.
const BESIDE_BYTES: usize = 256 << 10;
/// After a failure, entries in Redis are written anew after this time.
const REWRITE_AGAIN: Duration = Duration::from_secs(10);
/// How often a change is tried again where other processes change the same entry.
const TRIES: usize = 64;

/// Entries that are encrypted in another store, if there are keys. Keys of entries are not, since they are listed in order.
///
/// A store compares and adds what it holds; sealed, no two values are the same. So here a change reads, compares, and
/// swaps what it has read.
pub struct SealedKeyValue {
    inner: Arc<dyn KeyValue>,
    keys: EncryptionKeys,
    changing: Arc<(RandomState, [Mutex<()>; LOCKS])>,
}

impl SealedKeyValue {
    /// Entries in `inner`, sealed by `keys`; without keys as they are.
    pub fn new(inner: Arc<dyn KeyValue>, keys: EncryptionKeys) -> Self {
        Self { inner, keys, changing: Arc::new((RandomState::new(), std::array::from_fn(|_| Mutex::default()))) }
    }

    /// One way to change an entry: from what it holds to what it is to hold, or to an answer without a change.
    fn change<T: Send + 'static>(
        &self,
        bucket: &Bucket,
        key: String,
        decide: impl Fn(Option<&[u8]>) -> Result<Change<T>, KeyValueError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, KeyValueError>> {
        let (inner, keys, bucket, changing) =
            (self.inner.clone(), self.keys.clone(), bucket.clone(), self.changing.clone());
        async move {
            check_keys([&key].into_iter())?;
            let (hasher, locks) = &*changing;
            let hash = hasher.hash_one((&bucket.namespace, &bucket.name, &key));
            let _turn = locks[hash as usize % LOCKS].lock().await;
            for _ in 0..TRIES {
                let kept = inner.get_within(&bucket, vec![key.clone()], MAX_STORED_VALUE_BYTES).await?.pop().flatten();
                let mut pause = Pause::default();
                pause.before(kept.as_ref().map_or(0, Bytes::len)).await;
                let held = match &kept {
                    Some(kept) => Some(opened(&keys, &bucket, &key, kept).await?),
                    None => None,
                };
                match decide(held.as_deref())? {
                    Change::None(answer) => return Ok(answer),
                    Change::To(value, answer) => {
                        pause.before(value.len()).await;
                        let value = sealed(&keys, &bucket, &key, &value).await?;
                        if inner.swap(&bucket, key.clone(), kept, value).await? {
                            return Ok(answer);
                        }
                    }
                }
            }
            Err(KeyValueError::Store(format!("others change the same entry all the time: {TRIES} tries failed")))
        }
        .boxed()
    }
}

impl SealedKeyValue {
    /// Has an entry kept as the keys write. Answers whether it was not; `None`: it cannot be read, or has no room as it would be kept.
    async fn rewrite(&self, bucket: &Bucket, key: String) -> Result<Option<bool>, KeyValueError> {
        let kept = self.inner.get_within(bucket, vec![key.clone()], MAX_STORED_VALUE_BYTES).await?.pop().flatten();
        let Some(kept) = kept.filter(|kept| EncryptionKeys::name_in(kept) != self.keys.writer()) else {
            return Ok(Some(false));
        };
        if open(&self.keys, bucket, &key, &kept).is_err() {
            return Ok(None);
        }
        let again = |held: Option<&[u8]>| {
            Ok(held.map_or(Change::None(false), |held| Change::To(Bytes::copy_from_slice(held), true)))
        };
        match self.change(bucket, key, again).await {
            Ok(written) => Ok(Some(written)),
            Err(error @ KeyValueError::Store(_)) => Err(error),
            Err(_) => Ok(None),
        }
    }
}

enum Change<T> {
    None(T),
    To(Bytes, T),
}

/// Lets others go on between pieces of work.
#[derive(Default)]
struct Pause {
    bytes: usize,
}

impl Pause {
    /// To be called before work on so many bytes.
    async fn before(&mut self, bytes: usize) {
        if self.bytes > 0 && self.bytes + bytes > BYTES_IN_A_ROW {
            tokio::task::yield_now().await;
            self.bytes = 0;
        }
        self.bytes += bytes;
    }
}

fn place<'a>(bucket: &'a Bucket, key: &'a str) -> [&'a str; 4] {
    ["keyvalue", &bucket.namespace, &bucket.name, key]
}

fn seal(keys: &EncryptionKeys, bucket: &Bucket, key: &str, value: &Bytes) -> Bytes {
    match keys.seal(&place(bucket, key), value) {
        Cow::Borrowed(_) => value.clone(),
        Cow::Owned(sealed) => sealed.into(),
    }
}

/// As [`seal`], where it takes long beside this thread.
async fn sealed(keys: &EncryptionKeys, bucket: &Bucket, key: &str, value: &Bytes) -> Result<Bytes, KeyValueError> {
    if keys.is_empty() || value.len() <= BESIDE_BYTES {
        return Ok(seal(keys, bucket, key, value));
    }
    let (keys, bucket, key, value) = (keys.clone(), bucket.clone(), key.to_owned(), value.clone());
    beside(move || Ok(seal(&keys, &bucket, &key, &value))).await
}

/// As [`open`], where it takes long beside this thread.
async fn opened(keys: &EncryptionKeys, bucket: &Bucket, key: &str, kept: &Bytes) -> Result<Bytes, KeyValueError> {
    if keys.is_empty() || kept.len() <= BESIDE_BYTES {
        return open(keys, bucket, key, kept);
    }
    let (keys, bucket, key, kept) = (keys.clone(), bucket.clone(), key.to_owned(), kept.clone());
    beside(move || open(&keys, &bucket, &key, &kept)).await
}

async fn beside(work: impl FnOnce() -> Result<Bytes, KeyValueError> + Send + 'static) -> Result<Bytes, KeyValueError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(KeyValueError::Store(format!("an entry was not encrypted to its end: {error}"))))
}

fn sealed_entry(keys: &EncryptionKeys, bucket: &Bucket, (key, value): (String, Bytes)) -> (String, Bytes) {
    let sealed = seal(keys, bucket, &key, &value);
    (key, sealed)
}

fn open(keys: &EncryptionKeys, bucket: &Bucket, key: &str, kept: &Bytes) -> Result<Bytes, KeyValueError> {
    match keys.open(&place(bucket, key), kept) {
        Ok(Cow::Borrowed(plain)) => Ok(kept.slice_ref(plain)),
        Ok(Cow::Owned(opened)) => Ok(opened.into()),
        Err(why) => {
            tracing::error!(namespace = bucket.namespace, bucket = bucket.name, %why, "an entry cannot be read");
            Err(KeyValueError::Store(format!("an entry cannot be read: {why}")))
        }
    }
}

/// Sees to it that all entries of a file are sealed as these keys write. See [`encryption::reseal`].
pub fn reseal(path: &Path, keys: &EncryptionKeys) -> Result<(), OpenError> {
    encryption::reseal(path, CACHE_BYTES, keys, |from, to| {
        let mut written = match keys.writer() {
            Some(_) => {
                to.open_table(NO_ENTRIES)?;
                to.open_table(SEALED_ENTRIES)?
            }
            None => to.open_table(ENTRIES)?,
        };
        let entries = match from.open_table(entries_of(from)?) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            entries => entries?,
        };
        for entry in entries.iter()? {
            let (at, kept) = entry?;
            let (namespace, bucket, key) = at.value();
            let place = ["keyvalue", namespace, bucket, key];
            let value = keys.open(&place, kept.value());
            let value =
                value.map_err(|why| Failure::Sealed(format!("the entry `{key}` of {namespace}/{bucket}"), why))?;
            written.insert((namespace, bucket, key), &*keys.seal(&place, &value))?;
        }
        Ok(())
    })
}

/// Sees to it that all entries in Redis are kept as these keys write, while guests go on. It is tried until it is done; the log says
/// when. To be told nothing of who writes with other keys meanwhile: those have the same first key by then.
pub async fn rewrite(store: RedisKeyValue, keys: EncryptionKeys) {
    let key = keys.writer().unwrap_or("none").to_owned();
    loop {
        match rewrite_all(&store, &keys).await {
            Ok((written, 0)) => {
                // It is for somebody to do something: until then it is said at each start.
                return tracing::warn!(
                    written,
                    key,
                    "all entries in Redis are kept by the first key: the others are not needed there, take them out of the file"
                );
            }
            Ok((written, unread)) => {
                return tracing::error!(
                    written,
                    unread,
                    key,
                    "of the entries in Redis some cannot be read, or written within the quota, and stay as they are"
                );
            }
            Err(error) => {
                tracing::warn!(%error, key, "entries in Redis are not yet all kept by the first key: it is tried again")
            }
        }
        tokio::time::sleep(REWRITE_AGAIN).await;
    }
}

/// How many entries were written anew, and how many cannot be.
async fn rewrite_all(store: &RedisKeyValue, keys: &EncryptionKeys) -> Result<(u64, u64), KeyValueError> {
    let sealed = SealedKeyValue::new(Arc::new(store.clone()), keys.clone());
    let (mut written, mut unread, mut from) = (0, 0, 0);
    loop {
        let (next, buckets) = store.buckets(from).await?;
        for bucket in buckets {
            let mut cursor = None;
            loop {
                let page = store.list(&bucket, cursor, MAX_PAGE).await?;
                for key in page.keys {
                    match sealed.rewrite(&bucket, key).await? {
                        Some(true) => written += 1,
                        Some(false) => {}
                        None => unread += 1,
                    }
                }
                cursor = page.cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        from = next;
        if from == 0 {
            return Ok((written, unread));
        }
    }
}

impl KeyValue for SealedKeyValue {
    fn get_within(
        &self,
        bucket: &Bucket,
        keys: Vec<String>,
        limit_bytes: usize,
    ) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        // So long are they at most where they are kept.
        let kept_bytes = limit_bytes + keys.len() * MAX_SEAL_BYTES;
        let (got, bucket, with) =
            (self.inner.get_within(bucket, keys.clone(), kept_bytes), bucket.clone(), self.keys.clone());
        async move {
            let mut values = got.await.map_err(|error| match error {
                KeyValueError::TooLarge { what, bytes, limit_bytes: limit } if limit == kept_bytes => {
                    KeyValueError::TooLarge { what, bytes, limit_bytes }
                }
                error => error,
            })?;
            let mut pause = Pause { bytes: values.iter().flatten().map(Bytes::len).sum() };
            for (key, value) in keys.iter().zip(&mut values) {
                if let Some(kept) = value {
                    pause.before(kept.len()).await;
                    *kept = opened(&with, &bucket, key, kept).await?;
                }
            }
            let bytes = values.iter().flatten().map(Bytes::len).sum();
            check_read(bytes, limit_bytes).map(|()| values)
        }
        .boxed()
    }

    fn set(&self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        if let Err(error) = check_written(&entries) {
            return ready(Err(error)).boxed();
        }
        let (inner, bucket, with) = (self.inner.clone(), bucket.clone(), self.keys.clone());
        if with.is_empty() {
            return inner.set(&bucket, entries.into_iter().map(|entry| sealed_entry(&with, &bucket, entry)).collect());
        }
        async move {
            let (mut sealed, mut pause) = (Vec::with_capacity(entries.len()), Pause::default());
            for entry in entries {
                pause.before(entry.1.len()).await;
                let value = self::sealed(&with, &bucket, &entry.0, &entry.1).await?;
                sealed.push((entry.0, value));
            }
            pause.before(BYTES_IN_A_ROW).await;
            inner.set(&bucket, sealed).await
        }
        .boxed()
    }

    fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        self.inner.delete(bucket, keys)
    }

    fn list(
        &self,
        bucket: &Bucket,
        cursor: Option<String>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Listing, KeyValueError>> {
        self.inner.list(bucket, cursor, limit)
    }

    fn increment(&self, bucket: &Bucket, key: String, delta: i64) -> BoxFuture<'static, Result<i64, KeyValueError>> {
        if self.keys.is_empty() {
            return self.inner.increment(bucket, key, delta);
        }
        let name = key.clone();
        self.change(bucket, key, move |held| {
            let sum = incremented(&name, held, delta)?;
            Ok(Change::To(sum.to_string().into(), sum))
        })
    }

    fn swap(
        &self,
        bucket: &Bucket,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'static, Result<bool, KeyValueError>> {
        if let Err(error) = check_written_value(&value) {
            return ready(Err(error)).boxed();
        }
        if self.keys.is_empty() {
            let sealed = |value: &Bytes| seal(&self.keys, bucket, &key, value);
            return self.inner.swap(bucket, key.clone(), expected.as_ref().map(sealed), sealed(&value));
        }
        self.change(bucket, key, move |held| match held == expected.as_deref() {
            true => Ok(Change::To(value.clone(), true)),
            false => Ok(Change::None(false)),
        })
    }
}

#[cfg(test)]
mod tests {
    use registry_client::DiskReserve;

    use super::*;
    use crate::{MAX_VALUE_BYTES, MemoryKeyValue, Quota, RedbKeyValue};
    use store::testing::{key, keys, line};

    fn open_file(path: &Path, keys: &EncryptionKeys) -> SealedKeyValue {
        reseal(path, keys).unwrap();
        let store = RedbKeyValue::open(path, Quota::default(), DiskReserve::default()).unwrap();
        SealedKeyValue::new(Arc::new(store), keys.clone())
    }

    #[tokio::test]
    async fn a_file_that_is_encrypted_is_refused_by_versions_that_would_hand_out_what_is_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keyvalue.redb");
        let carts = Bucket { namespace: "shop".to_owned(), name: "carts".to_owned() };
        let (none, entry) = (EncryptionKeys::default(), Bytes::from("what a guest keeps"));
        open_file(&path, &none).set(&carts, vec![("k".to_owned(), entry.clone())]).await.unwrap();
        let both = keys(&(line("b", 2) + &line("a", 1)));
        let no_more = keys(&format!("identity\n{}", line("b", 2)));
        for (keys, is_sealed) in [(key("a", 1), true), (both, true), (no_more, false), (none, false)] {
            let store = open_file(&path, &keys);
            assert_eq!(store.get(&carts, vec!["k".to_owned()]).await.unwrap(), [Some(entry.clone())]);
            drop(store);
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes.windows(entry.len()).any(|part| part == entry), !is_sealed, "{keys:?}");
            // They open the entries first.
            let database = redb::Database::open(&path).unwrap();
            let opened = database.begin_write().unwrap().open_table(ENTRIES).map(drop);
            assert_eq!(matches!(opened, Err(redb::TableError::TableTypeMismatch { .. })), is_sealed, "{opened:?}");
        }
    }

    #[tokio::test]
    async fn a_key_that_is_still_needed_is_named_and_a_moved_entry_is_not_read() {
        let inner = Arc::new(MemoryKeyValue::new(Quota::default()));
        let carts = Bucket { namespace: "shop".to_owned(), name: "carts".to_owned() };
        let entry = |key: &str, value: &Bytes| vec![(key.to_owned(), value.clone())];
        let with = |keys: EncryptionKeys| SealedKeyValue::new(inner.clone(), keys);
        with(key("a", 1)).set(&carts, entry("k", &"1".into())).await.unwrap();
        // In Redis, say, where nothing is written anew: with both it is read, counted on, and sealed by the new one.
        let both = keys(&(line("b", 2) + &line("a", 1)));
        for (keys, why) in [
            (key("b", 2), "`a`: name a file that has it with --encryption-key-file"),
            (EncryptionKeys::default(), "`a`: name a file that has it with --encryption-key-file"),
            (key("a", 3), "does not open with the key `a`"),
        ] {
            let store = with(keys);
            let said = store.get(&carts, vec!["k".to_owned()]).await.unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
        let said = with(key("b", 2)).increment(&carts, "k".to_owned(), 1).await.unwrap_err().to_string();
        assert!(said.contains("`a`"), "{said}");
        assert_eq!(with(both).increment(&carts, "k".to_owned(), 1).await.unwrap(), 2);
        assert_eq!(with(key("b", 2)).get(&carts, vec!["k".to_owned()]).await.unwrap(), [Some("2".into())]);
        let kept = inner.get(&carts, vec!["k".to_owned()]).await.unwrap().remove(0).unwrap();
        inner.set(&carts, entry("other", &kept)).await.unwrap();
        let said = with(key("b", 2)).get(&carts, vec!["other".to_owned()]).await.unwrap_err().to_string();
        assert!(said.contains("changed or moved"), "{said}");
    }

    #[test]
    fn a_large_value_is_sealed_and_opened_beside_the_thread_that_asks() {
        let (keys, bucket) = (key("a", 1), Bucket { namespace: "shop".to_owned(), name: "carts".to_owned() });
        let value = Bytes::from(vec![7; BESIDE_BYTES + 1]);
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            // As long as what is beside is busy, nothing is done, and nothing is held up here.
            let (release, released) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || released.recv());
            let kept = seal(&keys, &bucket, "k", &value);
            let (sealing, opening) = (sealed(&keys, &bucket, "k", &value), opened(&keys, &bucket, "k", &kept));
            tokio::pin!(sealing, opening);
            assert!(futures::poll!(&mut sealing).is_pending() && futures::poll!(&mut opening).is_pending());
            let few = value.slice(..BESIDE_BYTES);
            let small = sealed(&keys, &bucket, "k", &few);
            tokio::pin!(small);
            assert!(futures::poll!(&mut small).is_ready());
            drop(release);
            assert!(busy.await.unwrap().is_err());
            assert_eq!(opening.await.unwrap(), value);
            let again = sealing.await.unwrap();
            assert_eq!(open(&keys, &bucket, "k", &again).unwrap(), value);
        });
    }

    #[tokio::test]
    async fn the_largest_values_fit_and_one_byte_more_is_refused_with_the_limit_of_guests() {
        let store = SealedKeyValue::new(Arc::new(MemoryKeyValue::new(Quota::default())), key("a", 1));
        let carts = Bucket { namespace: "shop".to_owned(), name: "carts".to_owned() };
        let value = |bytes: usize| Bytes::from(vec![7; bytes]);
        let set = |value: Bytes| store.set(&carts, vec![("k".to_owned(), value)]);
        set(value(MAX_VALUE_BYTES)).await.unwrap();
        let swap =
            |value: Bytes| store.swap(&carts, "k".to_owned(), Some(Bytes::from(vec![7; MAX_VALUE_BYTES])), value);
        let refused = [set(value(MAX_VALUE_BYTES + 1)).await.err(), swap(value(MAX_VALUE_BYTES + 1)).await.err()];
        for refused in refused {
            let Some(KeyValueError::TooLarge { limit_bytes, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(limit_bytes, MAX_VALUE_BYTES);
        }
        assert!(swap(value(MAX_VALUE_BYTES)).await.unwrap());
        assert_eq!(store.get(&carts, vec!["k".to_owned()]).await.unwrap(), [Some(value(MAX_VALUE_BYTES))]);
    }
}
