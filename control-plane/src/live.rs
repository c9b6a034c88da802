//! What users ask of the live state through the API, and how it holds over a restart.

use std::sync::Arc;

use api::{ReplicaId, WorkerName};
use futures::future::{BoxFuture, FutureExt};
use kube_api::api_server::{LiveCommands, LiveError, NodeChange};
use store::{Compare, Op, Store, StoreError};
use tokio::sync::Mutex;

use crate::{
    CommandError, Commands,
    join::{Register, Which},
    shell::{KnownWorker, worker_key},
};

/// The live state of a control plane, and who has joined it.
pub(crate) struct Live {
    /// The way to the shell.
    pub(crate) commands: Commands,
    /// Who has joined.
    pub(crate) register: Register,
    /// What is kept of workers.
    pub(crate) store: Arc<dyn Store>,
    /// Held by who changes what is kept of one.
    pub(crate) in_turn: Arc<Mutex<()>>,
}

/// What users may have said of one worker: labels, annotations and taints, those that they took away too.
const MAX_MARKS: usize = 256;

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

    fn change_node(&self, worker: WorkerName, change: NodeChange) -> BoxFuture<'static, Result<(), LiveError>> {
        let (commands, store, in_turn) = (self.commands.clone(), self.store.clone(), self.in_turn.clone());
        async move {
            // What is written last is told last.
            let _turn = in_turn.lock().await;
            let key = worker_key(&worker);
            let before =
                store.get(&key).await?.and_then(|kept| KnownWorker::from_bytes(&kept.value)).unwrap_or_default();
            let mut known = before.clone();
            known.cordoned = change.cordoned;
            known.marks.add(change.marks);
            if known.marks.len() > MAX_MARKS {
                return Err(LiveError::TooMuch(format!(
                    "a node keeps at most {MAX_MARKS} labels, annotations and taints that users gave it or took from it"
                )));
            }
            // It is intent: it holds after a crash once it was answered.
            store.txn(Vec::new(), vec![Op::Put(key, known.to_bytes())]).await?;
            if known.marks != before.marks {
                commands.mark(worker.clone(), known.marks)?;
            }
            Ok(commands.cordon(worker, known.cordoned)?)
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
