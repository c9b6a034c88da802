//! `wasi:keyvalue@0.2.0-draft2`: with compare-and-swap.

use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource},
};

use super::{
    Bucket, Cas, Entries, GuestState, StoreError, Value,
    view::{HasKeyValue, View, view, within},
};
use crate::capabilities::bindings::keyvalue_draft2::{
    atomics::{self, CasError},
    batch, store,
};

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, HasKeyValue>(linker, view)?;
    atomics::add_to_linker::<_, HasKeyValue>(linker, view)?;
    batch::add_to_linker::<_, HasKeyValue>(linker, view)?;
    // Values are lifted by their own bound, not by that of all calls.
    linker.instance("wasi:keyvalue/store@0.2.0-draft2")?.func_wrap_async(
        "[method]bucket.set",
        |mut store: StoreContextMut<'_, GuestState>, (bucket, key, value): (Resource<Bucket>, String, Value)| {
            Box::new(async move {
                let mut view = view(store.data_mut());
                let set = view.set(&bucket, key, value).await;
                told(&mut view, set)
            })
        },
    )?;
    linker.instance("wasi:keyvalue/batch@0.2.0-draft2")?.func_wrap_async(
        "set-many",
        |mut store: StoreContextMut<'_, GuestState>, (bucket, entries): (Resource<Bucket>, Entries)| {
            Box::new(async move {
                let mut view = view(store.data_mut());
                let set = view.set_many(&bucket, entries).await;
                told(&mut view, set)
            })
        },
    )?;
    linker.instance("wasi:keyvalue/atomics@0.2.0-draft2")?.func_wrap_async(
        "swap",
        |mut store: StoreContextMut<'_, GuestState>, (cas, value): (Resource<Cas>, Value)| {
            Box::new(async move { Ok((view(store.data_mut()).swap_if_unchanged(cas, value).await?,)) })
        },
    )
}

fn told(view: &mut View<'_>, result: Result<(), StoreError>) -> wasmtime::Result<(Result<(), store::Error>,)> {
    Ok((match result {
        Ok(()) => Ok(()),
        Err(error) => Err(store::Host::convert_error(view, error)?),
    },))
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
        self.set(&bucket, key, Value::Within(value)).await
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), StoreError> {
        self.delete_all(&bucket, vec![key]).await
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, StoreError> {
        self.is_there(&bucket, key).await
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
        self.swap_if_unchanged(cas, Value::Within(value)).await
    }
}

impl View<'_> {
    async fn swap_if_unchanged(&mut self, cas: Resource<Cas>, value: Value) -> wasmtime::Result<Result<(), CasError>> {
        let Cas { bucket, key, seen, _charge } = self.table.delete(cas)?;
        let refused = |error: StoreError| match error {
            StoreError::AccessDenied => Ok(Err(CasError::StoreError(store::Error::AccessDenied))),
            StoreError::Other(why) => Ok(Err(CasError::StoreError(store::Error::Other(why)))),
            StoreError::Trap(error) => Err(error),
        };
        let value = match within(value) {
            Ok(value) => value,
            Err(error) => return refused(error),
        };
        let _held = self.memory.held_while(value.len() as u64)?;
        match self.store().swap(&bucket, key.clone(), seen, value.into()).await {
            Ok(true) => Ok(Ok(())),
            Ok(false) => match self.see(bucket, key).await {
                Ok(newer) => Ok(Err(CasError::CasFailed(newer))),
                Err(error) => refused(error),
            },
            Err(error) => refused(error.into()),
        }
    }
}

impl atomics::HostCas for View<'_> {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Resource<Cas>, StoreError> {
        let bucket = self.bucket(&bucket)?;
        self.see(bucket, key).await
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Result<Option<Vec<u8>>, StoreError> {
        let seen = self.table.get(&cas)?.seen.clone();
        self.copy(seen).await
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
        self.set_many(&bucket, Entries::Within(entries)).await
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Result<(), StoreError> {
        self.delete_all(&bucket, keys).await
    }
}
