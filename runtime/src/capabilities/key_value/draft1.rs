//! `wasi:keyvalue@0.2.0-draft`.

use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource},
};

use super::{
    Bucket, Entries, GuestState, MAX_CURSORS, StoreError, Value,
    view::{HasKeyValue, View, view},
};
use crate::capabilities::bindings::keyvalue_draft1::{atomics, batch, store};

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, HasKeyValue>(linker, view)?;
    atomics::add_to_linker::<_, HasKeyValue>(linker, view)?;
    batch::add_to_linker::<_, HasKeyValue>(linker, view)?;
    // Values are lifted by their own bound, not by that of all calls.
    linker.instance("wasi:keyvalue/store@0.2.0-draft")?.func_wrap_async(
        "[method]bucket.set",
        |mut store: StoreContextMut<'_, GuestState>, (bucket, key, value): (Resource<Bucket>, String, Value)| {
            Box::new(async move {
                let mut view = view(store.data_mut());
                let set = view.set(&bucket, key, value).await;
                told(&mut view, set)
            })
        },
    )?;
    linker.instance("wasi:keyvalue/batch@0.2.0-draft")?.func_wrap_async(
        "set-many",
        |mut store: StoreContextMut<'_, GuestState>, (bucket, entries): (Resource<Bucket>, Entries)| {
            Box::new(async move {
                let mut view = view(store.data_mut());
                let set = view.set_many(&bucket, entries).await;
                told(&mut view, set)
            })
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
        cursor: Option<u64>,
    ) -> Result<store::KeyResponse, StoreError> {
        let after = match cursor {
            None | Some(0) => None,
            Some(cursor) => Some(self.cursor(&bucket, cursor)?),
        };
        let page = self.list(&bucket, after).await?;
        let cursor = page.cursor.map(|next| self.remember(&bucket, next)).transpose()?;
        Ok(store::KeyResponse { keys: page.keys, cursor })
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.close(bucket)
    }
}

impl View<'_> {
    fn cursor(&self, bucket: &Resource<Bucket>, cursor: u64) -> Result<String, StoreError> {
        let cursors = &self.table.get(bucket)?.cursors;
        let index = usize::try_from(cursor - 1).unwrap_or(usize::MAX);
        cursors.get(index).cloned().ok_or_else(|| StoreError::Other(format!("{cursor} is not a cursor of this bucket")))
    }

    fn remember(&mut self, bucket: &Resource<Bucket>, next: String) -> Result<u64, StoreError> {
        let bucket = self.table.get_mut(bucket)?;
        if bucket.cursors.len() == MAX_CURSORS {
            return Err(StoreError::Other(format!("more than {MAX_CURSORS} pages listed; open the bucket again")));
        }
        let bytes = (next.len() + size_of::<String>()) as u64;
        match &mut bucket.charge {
            Some(charge) => charge.resize(charge.bytes() + bytes)?,
            None => bucket.charge = Some(self.memory.charge(bytes)?),
        }
        bucket.cursors.push(next);
        Ok(bucket.cursors.len() as u64)
    }
}

impl atomics::Host for View<'_> {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: u64) -> Result<u64, StoreError> {
        let delta = i64::try_from(delta).map_err(|_| StoreError::Other(format!("{delta} is too large to add")))?;
        let sum = self.add(&bucket, key, delta).await?;
        u64::try_from(sum).map_err(|_| StoreError::Other(format!("the sum {sum} is negative")))
    }
}

impl batch::Host for View<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, StoreError> {
        let values = self.get_all(&bucket, keys.clone()).await?;
        Ok(keys.into_iter().zip(values).map(|(key, value)| Some((key, value?.into()))).collect())
    }

    async fn set_many(&mut self, bucket: Resource<Bucket>, entries: Vec<(String, Vec<u8>)>) -> Result<(), StoreError> {
        self.set_many(&bucket, Entries::Within(entries)).await
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Result<(), StoreError> {
        self.delete_all(&bucket, keys).await
    }
}
