//! What users ask of the live state through the API, and how it holds over a restart.

use std::sync::Arc;

use api::{ReplicaId, WorkerName};
use futures::future::{BoxFuture, FutureExt};
use kube_api::api_server::{LiveCommands, LiveError};
use store::{Compare, Op, Store, StoreError};

use crate::{
    CommandError, Commands,
    join::{Register, Which},
    shell::{worker_key, worker_record},
};

/// The live state of a control plane, and who has joined it.
pub(crate) struct Live {
    /// The way to the shell.
    pub(crate) commands: Commands,
    /// Who has joined.
    pub(crate) register: Register,
    /// What is kept of workers.
    pub(crate) store: Arc<dyn Store>,
}

impl From<CommandError> for LiveError {
    fn from(error: CommandError) -> Self {
        let why = error.to_string();
        match error {
            CommandError::Busy => Self::Busy(why),
            CommandError::Closed => Self::Closed(why),
        }
    }
}

impl LiveCommands for Live {
    fn delete_replica(&self, id: ReplicaId) -> Result<(), LiveError> {
        Ok(self.commands.delete_replica(id)?)
    }

    fn evict_replica(&self, id: ReplicaId) -> Result<(), LiveError> {
        Ok(self.commands.evict_replica(id)?)
    }

    fn cordon(&self, worker: WorkerName, cordoned: bool) -> BoxFuture<'static, Result<(), LiveError>> {
        let (commands, store) = (self.commands.clone(), self.store.clone());
        async move {
            // A cordon is intent: it holds after a crash once it was answered.
            let (key, record) = worker_record(&worker, cordoned);
            store.txn(Vec::new(), vec![Op::Put(key, record)]).await?;
            Ok(commands.cordon(worker, cordoned)?)
        }
        .boxed()
    }

    fn forget(&self, worker: WorkerName) -> BoxFuture<'static, Result<bool, LiveError>> {
        let (commands, store) = (self.commands.clone(), self.store.clone());
        async move {
            let key = worker_key(&worker);
            let record = store.get(&key).await?;
            if !commands.forget(worker).await? {
                return Ok(false);
            }
            // One that has come back meanwhile is a new one, and has written itself down anew.
            if let Some(record) = record {
                match store.txn(vec![Compare::At(key.clone(), record.revision)], vec![Op::Delete(key)]).await {
                    Ok(_) | Err(StoreError::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(true)
        }
        .boxed()
    }

    fn revoke(&self, worker: WorkerName) -> BoxFuture<'static, Result<bool, LiveError>> {
        let register = self.register.clone();
        async move {
            let which = Which::Name { role: Some("worker".to_owned()), name: worker.to_string() };
            let (revoked, freed) = register.revoke(&which).await?;
            Ok(freed || !revoked.is_empty())
        }
        .boxed()
    }
}
