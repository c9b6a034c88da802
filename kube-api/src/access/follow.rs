use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use http_server::Users;
use parking_lot::RwLock;
use serde_json::Value;
use store::{Item, Store, StoreError, WatchEvent};
use tokio::{select, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::kind::{CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING, SECRET, SERVICE_ACCOUNT};

use super::{Index, USERS_NAMESPACE, tokens};

/// Objects read from the store at a time.
const PAGE: usize = 1000;
/// Reading all roles anew takes at most this part of the time: where there are very many it is done less often.
const SHARE: u32 = 4;

/// The roles that are in force. Clones share them.
#[derive(Clone, Default)]
pub struct Roles(Arc<RwLock<Arc<Index>>>);

impl std::fmt::Debug for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roles").finish_non_exhaustive()
    }
}

impl Roles {
    /// As they are at this moment.
    pub(crate) fn index(&self) -> Arc<Index> {
        self.0.read().clone()
    }

    /// Reads all of them, and who has which token.
    pub(crate) async fn read(&self, store: &dyn Store, users: &Users) -> Result<(), StoreError> {
        let mut objects = Vec::new();
        for kind in [CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING] {
            objects.extend(all(store, &kind.prefix()).await?);
        }
        let (secrets, accounts) = (all(store, &secrets()).await?, all(store, &SERVICE_ACCOUNT.prefix()).await?);
        // Of many, or of large ones, it takes long.
        let read = tokio::task::spawn_blocking(move || {
            let parsed =
                objects.iter().filter_map(|item| Some((&*item.key, serde_json::from_slice(&item.value).ok()?)));
            let index = Index::of(parsed);
            let values = |items: &[Item]| -> Vec<Value> {
                items.iter().filter_map(|item| serde_json::from_slice(&item.value).ok()).collect()
            };
            let (secrets, accounts) = (values(&secrets), values(&accounts));
            (index, tokens::of_secrets(secrets.iter()), tokens::accounts(accounts.iter()))
        });
        // It is broken off with the whole process alone.
        let Ok((index, holders, accounts)) = read.await else { return Ok(()) };
        *self.0.write() = Arc::new(index);
        users.keep(holders);
        users.keep_accounts(accounts);
        Ok(())
    }

    /// Keeps them as they are stored, until it is told to end.
    pub(crate) async fn follow(&self, store: &dyn Store, users: &Users, shutdown: CancellationToken) {
        let kinds = [CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING, SERVICE_ACCOUNT];
        let prefixes: Vec<_> = kinds.iter().map(|kind| kind.prefix()).chain([secrets()]).collect();
        loop {
            let from = store.revision();
            if let Err(error) = self.read(store, users).await {
                tracing::warn!(%error, "roles cannot be read: those of before stay in force");
            }
            let mut changes = futures::stream::select_all(prefixes.iter().map(|prefix| store.watch(prefix, from)));
            loop {
                let event = select! {
                    () = shutdown.cancelled() => return,
                    event = changes.next() => event,
                };
                match event {
                    Some(WatchEvent::Progress(_)) => continue,
                    Some(WatchEvent::Put { .. } | WatchEvent::Delete { .. }) => {
                        let began = Instant::now();
                        if let Err(error) = self.read(store, users).await {
                            tracing::warn!(%error, "roles cannot be read: those of before stay in force");
                        }
                        pause(began.elapsed() * SHARE, &shutdown).await;
                    }
                    Some(WatchEvent::Compacted) | None => break,
                }
            }
        }
    }
}

async fn pause(span: Duration, shutdown: &CancellationToken) {
    let _ = tokio::time::timeout(span, shutdown.cancelled()).await;
}

/// What the keys of Secrets start with that may hold tokens.
fn secrets() -> String {
    store::collection_prefix(SECRET.group, SECRET.plural, Some(USERS_NAMESPACE))
}

async fn all(store: &dyn Store, prefix: &str) -> Result<Vec<Item>, StoreError> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(prefix, PAGE, after.as_deref()).await?;
        after = page.items.last().map(|item| item.key.to_string());
        items.extend(page.items);
        if page.remaining == 0 {
            return Ok(items);
        }
    }
}
