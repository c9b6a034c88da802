use std::sync::Arc;

use api::{KeyValue, Listing};
use bytes::Bytes;
use wasmtime::component::{HasData, Resource, ResourceTable};

use super::{Bucket, KeyValueAccess, LIST_PAGE, StoreError};
use crate::capabilities::GuestState;

/// What the operations of both drafts have in common.
pub(super) struct View<'a> {
    pub(super) table: &'a mut ResourceTable,
    access: &'a KeyValueAccess,
}

pub(super) struct HasKeyValue;

impl HasData for HasKeyValue {
    type Data<'a> = View<'a>;
}

pub(super) fn view(state: &mut GuestState) -> View<'_> {
    View { table: &mut state.table, access: &state.capabilities.key_value }
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
        Ok(self.table.push(Bucket { bucket, cursors: Vec::new() })?)
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
        Ok(self.store().get(&self.bucket(bucket)?, keys).await?)
    }

    pub(super) async fn set_all(
        &mut self,
        bucket: &Resource<Bucket>,
        entries: Vec<(String, Vec<u8>)>,
    ) -> Result<(), StoreError> {
        let entries = entries.into_iter().map(|(key, value)| (key, value.into())).collect();
        Ok(self.store().set(&self.bucket(bucket)?, entries).await?)
    }

    pub(super) async fn delete_all(&mut self, bucket: &Resource<Bucket>, keys: Vec<String>) -> Result<(), StoreError> {
        Ok(self.store().delete(&self.bucket(bucket)?, keys).await?)
    }

    pub(super) async fn list(
        &mut self,
        bucket: &Resource<Bucket>,
        after: Option<String>,
    ) -> Result<Listing, StoreError> {
        Ok(self.store().list(&self.bucket(bucket)?, after, LIST_PAGE).await?)
    }

    pub(super) async fn add(&mut self, bucket: &Resource<Bucket>, key: String, delta: i64) -> Result<i64, StoreError> {
        Ok(self.store().increment(&self.bucket(bucket)?, key, delta).await?)
    }
}
