use std::sync::Arc;

use api::{KeyValue, KeyValueError, Listing};
use bytes::Bytes;
use wasmtime::component::{HasData, Resource, ResourceTable};

use super::{Bucket, Cas, Entries, KeyValueAccess, LIST_PAGE, StoreError, Value};
use crate::{
    capabilities::{GuestState, lifted},
    replica::{Charge, MemoryAccount, Turn},
};

/// What the operations of both drafts have in common.
pub(super) struct View<'a> {
    pub(super) table: &'a mut ResourceTable,
    pub(super) memory: &'a mut MemoryAccount,
    access: &'a KeyValueAccess,
    turn: &'a Turn,
}

/// Bytes of values that are asked for before it is known how many there are: with more, the store says so, and they are counted
/// before they are on their way.
const ASKED_UNCOUNTED_BYTES: usize = 64 << 10;
/// More keys than these are asked for with the most bytes that they may have, if there is room for so many: to look them up twice takes
/// longer than to count for a moment what is not there.
const FEW_KEYS: usize = 32;
/// Bytes that are copied in one piece with other work: before more of them others have the thread.
const BYTES_IN_A_ROW: usize = 1 << 20;
/// Bytes of one page of a listing: of the longest keys.
const LISTED_BYTES: u64 = 1 << 20;

pub(super) struct HasKeyValue;

impl HasData for HasKeyValue {
    type Data<'a> = View<'a>;
}

pub(super) fn view(state: &mut GuestState) -> View<'_> {
    View {
        table: &mut state.table,
        memory: &mut state.memory,
        access: &state.capabilities.key_value,
        turn: &state.turn,
    }
}

impl View<'_> {
    pub(super) fn store(&self) -> Arc<dyn KeyValue> {
        self.access.store.clone()
    }

    pub(super) fn bucket(&self, bucket: &Resource<Bucket>) -> Result<api::Bucket, StoreError> {
        Ok(self.table.get(bucket)?.bucket.clone())
    }

    pub(super) fn open_bucket(&mut self, name: String) -> Result<Resource<Bucket>, StoreError> {
        let bucket = self.access.open(name)?;
        Ok(self.table.push(Bucket { bucket, cursors: Vec::new(), charge: None })?)
    }

    pub(super) fn close(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }

    pub(super) async fn get_one(
        &mut self,
        bucket: &Resource<Bucket>,
        key: String,
    ) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get_all(bucket, vec![key]).await?.pop().flatten())
    }

    pub(super) async fn get_all(
        &mut self,
        bucket: &Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let bucket = self.bucket(bucket)?;
        Ok(self.read(&bucket, keys).await?.0)
    }

    /// Values, and what they count for.
    async fn read(
        &mut self,
        bucket: &api::Bucket,
        keys: Vec<String>,
    ) -> Result<(Vec<Option<Bytes>>, Option<Charge>), StoreError> {
        self.turn.give_way().await?;
        let (store, mut limit_bytes, mut held) = (self.store(), ASKED_UNCOUNTED_BYTES, None::<Charge>);
        if keys.len() > FEW_KEYS
            && let Ok(charge) = self.memory.charge(api::MAX_BATCH_BYTES as u64)
        {
            (limit_bytes, held) = (api::MAX_BATCH_BYTES, Some(charge));
        }
        let mut keys = keys;
        let values = loop {
            let may_ask_again = limit_bytes < api::MAX_BATCH_BYTES;
            let asked = if may_ask_again { keys.clone() } else { std::mem::take(&mut keys) };
            match store.get_within(bucket, asked, limit_bytes).await {
                Err(KeyValueError::TooLarge { what: "batch", bytes, .. }) if bytes > limit_bytes && may_ask_again => {
                    // They may be larger again by then.
                    limit_bytes = bytes.min(api::MAX_BATCH_BYTES);
                    drop(held.take());
                    held = self.memory.held_while(limit_bytes as u64)?;
                }
                answered => break answered?,
            }
        };
        let bytes: usize = values.iter().flatten().map(Bytes::len).sum();
        match &mut held {
            Some(charge) => charge.resize(bytes as u64)?,
            None => held = self.memory.held_while(bytes as u64)?,
        }
        // They are copied to the guest next.
        pause_beside(bytes).await;
        // The guest has room for them, or ends: it is given a copy, for which it needs as much again.
        Ok((values, held))
    }

    pub(super) async fn is_there(&mut self, bucket: &Resource<Bucket>, key: String) -> Result<bool, StoreError> {
        self.turn.give_way().await?;
        match self.store().get_within(&self.bucket(bucket)?, vec![key], 0).await {
            Err(KeyValueError::TooLarge { what: "batch", bytes: 1.., .. }) => Ok(true),
            answered => Ok(answered?.pop().flatten().is_some()),
        }
    }

    /// A copy of a value that is held already.
    pub(super) async fn copy(&mut self, value: Option<Bytes>) -> Result<Option<Vec<u8>>, StoreError> {
        self.turn.give_way().await?;
        let bytes = value.as_ref().map_or(0, Bytes::len);
        let _held = self.memory.held_while(bytes as u64)?;
        let copy = value.map(Vec::from);
        pause_beside(bytes).await;
        Ok(copy)
    }

    pub(super) async fn set(&mut self, bucket: &Resource<Bucket>, key: String, value: Value) -> Result<(), StoreError> {
        self.set_all(bucket, vec![(key, within(value)?)]).await
    }

    pub(super) async fn set_many(&mut self, bucket: &Resource<Bucket>, entries: Entries) -> Result<(), StoreError> {
        let entries = match entries {
            lifted::Entries::Within(entries) => entries,
            lifted::Entries::TooMany(count) => {
                return Err(KeyValueError::TooMany { count, limit: api::MAX_BATCH }.into());
            }
            lifted::Entries::TooLarge(bytes) => return Err(too_large("batch", bytes, api::MAX_BATCH_BYTES)),
        };
        self.set_all(bucket, entries).await
    }

    async fn set_all(&mut self, bucket: &Resource<Bucket>, entries: Vec<(String, Vec<u8>)>) -> Result<(), StoreError> {
        self.turn.give_way().await?;
        let bytes = entries.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        // Until the store has them.
        let _held = self.memory.held_while(bytes as u64)?;
        // They were copied from the guest, and may be sealed next.
        pause_beside(bytes).await;
        let entries = entries.into_iter().map(|(key, value)| (key, value.into())).collect();
        Ok(self.store().set(&self.bucket(bucket)?, entries).await?)
    }

    pub(super) async fn delete_all(&mut self, bucket: &Resource<Bucket>, keys: Vec<String>) -> Result<(), StoreError> {
        self.turn.give_way().await?;
        Ok(self.store().delete(&self.bucket(bucket)?, keys).await?)
    }

    pub(super) async fn list(
        &mut self,
        bucket: &Resource<Bucket>,
        after: Option<String>,
    ) -> Result<Listing, StoreError> {
        self.turn.give_way().await?;
        let _held = self.memory.held_while(LISTED_BYTES)?;
        Ok(self.store().list(&self.bucket(bucket)?, after, LIST_PAGE).await?)
    }

    pub(super) async fn add(&mut self, bucket: &Resource<Bucket>, key: String, delta: i64) -> Result<i64, StoreError> {
        self.turn.give_way().await?;
        Ok(self.store().increment(&self.bucket(bucket)?, key, delta).await?)
    }

    /// A compare-and-swap that sees what the key holds now, which counts as long as the guest has it.
    pub(super) async fn see(&mut self, bucket: api::Bucket, key: String) -> Result<Resource<Cas>, StoreError> {
        let (mut values, held) = self.read(&bucket, vec![key.clone()]).await?;
        drop(held);
        let seen = values.pop().flatten();
        let bytes = key.len() + seen.as_ref().map_or(0, Bytes::len);
        let charge = self.memory.charge(bytes as u64)?;
        Ok(self.table.push(Cas { bucket, key, seen, _charge: charge })?)
    }
}

pub(super) fn within(value: Value) -> Result<Vec<u8>, StoreError> {
    match value {
        lifted::Octets::Within(value) => Ok(value),
        lifted::Octets::TooMany(bytes) => Err(too_large("value", bytes, api::MAX_VALUE_BYTES)),
    }
}

/// Lets others go on before more is done with so many bytes, if they are many.
async fn pause_beside(bytes: usize) {
    if bytes > BYTES_IN_A_ROW {
        tokio::task::yield_now().await;
    }
}

fn too_large(what: &'static str, bytes: usize, limit_bytes: usize) -> StoreError {
    KeyValueError::TooLarge { what, bytes, limit_bytes }.into()
}
