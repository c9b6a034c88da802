//! `wasi:keyvalue@0.2.0-draft2`: with compare-and-swap.

use bytes::Bytes;
use wasmtime::component::{Linker, Resource};

use super::{
    Bucket, Cas, GuestState, StoreError,
    view::{HasKeyValue, View, view},
};
use crate::capabilities::bindings::keyvalue_draft2::{
    atomics::{self, CasError},
    batch, store,
};

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, HasKeyValue>(linker, view)?;
    atomics::add_to_linker::<_, HasKeyValue>(linker, view)?;
    batch::add_to_linker::<_, HasKeyValue>(linker, view)
}

impl store::Host for View<'_> {
    async fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, StoreError> {
        self.open_bucket(identifier)
    }

    fn convert_error(&mut self, error: StoreError) -> wasmtime::Result<store::Error> {
        match error {
            StoreError::AccessDenied => Ok(store::Error::AccessDenied),
            StoreError::Other(why) => Ok(store::Error::Other(why)),
            StoreError::Trap(error) => Err(error),
        }
    }
}

impl store::HostBucket for View<'_> {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get_one(&bucket, key).await?.map(Vec::from))
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Result<(), StoreError> {
        self.set_all(&bucket, vec![(key, value)]).await
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), StoreError> {
        self.delete_all(&bucket, vec![key]).await
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, StoreError> {
        Ok(self.get_one(&bucket, key).await?.is_some())
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<String>,
    ) -> Result<store::KeyResponse, StoreError> {
        let page = self.list(&bucket, cursor).await?;
        Ok(store::KeyResponse { keys: page.keys, cursor: page.cursor })
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.close(bucket)
    }
}

impl atomics::Host for View<'_> {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: i64) -> Result<i64, StoreError> {
        self.add(&bucket, key, delta).await
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> wasmtime::Result<Result<(), CasError>> {
        let cas = self.table.delete(cas)?;
        let swapped = self.store().swap(&cas.bucket, cas.key.clone(), cas.seen.clone(), value.into()).await;
        Ok(match swapped {
            Ok(None) => Ok(()),
            Ok(Some(current)) => Err(CasError::CasFailed(self.table.push(Cas { seen: current, ..cas })?)),
            Err(error) => Err(CasError::StoreError(store::Error::Other(error.to_string()))),
        })
    }
}

impl atomics::HostCas for View<'_> {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Resource<Cas>, StoreError> {
        let seen: Option<Bytes> = self.get_one(&bucket, key.clone()).await?;
        let bucket = self.bucket(&bucket)?;
        Ok(self.table.push(Cas { bucket, key, seen })?)
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.table.get(&cas)?.seen.clone().map(Vec::from))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

impl batch::Host for View<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, StoreError> {
        let values = self.get_all(&bucket, keys.clone()).await?;
        Ok(keys.into_iter().zip(values).map(|(key, value)| (key, value.map(Vec::from))).collect())
    }

    async fn set_many(&mut self, bucket: Resource<Bucket>, entries: Vec<(String, Vec<u8>)>) -> Result<(), StoreError> {
        self.set_all(&bucket, entries).await
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Result<(), StoreError> {
        self.delete_all(&bucket, keys).await
    }
}
