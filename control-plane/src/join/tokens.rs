use std::{sync::Arc, time::Duration};

use api::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    identity::now,
    store::{Compare, Op, Store, StoreError, object_key},
};

/// What the keys of tokens are in the store.
const GROUP: &str = "sampan.dev";
const PLURAL: &str = "jointokens";
/// Bytes of a token's public part, and of its secret part.
const ID_BYTES: usize = 4;
const SECRET_BYTES: usize = 16;
/// What a token begins with.
const VERSION: &str = "sampan1";
/// Tokens that are kept at a time; ended ones make room.
const MAX_TOKENS: usize = 1000;
/// How often a use is tried again that another use came in between of.
const TRIES: usize = 16;

/// A token as it is kept: never its secret, but a digest of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JoinToken {
    pub(crate) id: String,
    secret_sha256: String,
    /// What it is good for: `worker`, `gateway`; `None`: either.
    pub(crate) role: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) ends: Timestamp,
    pub(crate) uses_left: u32,
    /// Who joined with it.
    pub(crate) used_by: Vec<String>,
}

/// What a new token is to be.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewToken {
    pub(crate) role: Option<String>,
    pub(crate) ttl_seconds: u64,
    pub(crate) uses: u32,
}

/// Why a token does not let anybody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefused {
    /// It is none that was made here, or it was revoked.
    #[error("the join token is wrong or was revoked: make another with `sampan token create`")]
    Unknown,
    /// Its time is over.
    #[error("the join token has ended: make another with `sampan token create`")]
    Ended,
    /// As many as may have joined with it.
    #[error("the join token is used up: make another with `sampan token create`, or one for more with --uses")]
    UsedUp,
    /// It is for another role.
    #[error("the join token is for a {allowed}, not for a {asked}")]
    Role {
        /// What it is for.
        allowed: String,
        /// What was asked for.
        asked: String,
    },
    /// It could not be looked up.
    #[error("the join token cannot be looked up: {0}")]
    Store(#[from] StoreError),
}

/// The join tokens of an installation. Clones are handles to the same.
#[derive(Clone)]
pub struct JoinTokens {
    store: Arc<dyn Store>,
    /// What a token carries, so that who joins knows the installation.
    authority: String,
}

impl JoinTokens {
    pub(crate) fn new(store: Arc<dyn Store>, authority: String) -> Self {
        Self { store, authority }
    }

    /// Makes a token: the text is shown this once.
    pub(crate) async fn create(&self, new: &NewToken) -> Result<(JoinToken, String), JoinRefused> {
        let at = now();
        let (id, secret) = (random(ID_BYTES), random(SECRET_BYTES));
        let token = JoinToken {
            secret_sha256: digest(&secret),
            role: new.role.clone(),
            created: at,
            ends: at + Duration::from_secs(new.ttl_seconds),
            uses_left: new.uses,
            used_by: Vec::new(),
            id,
        };
        self.forget_ended(at).await?;
        self.store.txn(vec![Compare::Absent(key(&token.id))], vec![put(&token)]).await?;
        let text = format!("{VERSION}.{}.{secret}.{}", token.id, self.authority);
        Ok((token, text))
    }

    pub(crate) async fn list(&self) -> Result<Vec<JoinToken>, StoreError> {
        let page = self.store.list(&object_key(GROUP, PLURAL, None, ""), MAX_TOKENS, None).await?;
        Ok(page.items.iter().filter_map(|item| serde_json::from_slice(&item.value).ok()).collect())
    }

    /// Takes a token back. Answers whether there was one.
    pub(crate) async fn revoke(&self, id: &str) -> Result<bool, StoreError> {
        let there = self.store.get(&key(id)).await?.is_some();
        if there {
            self.store.txn(Vec::new(), vec![Op::Delete(key(id))]).await?;
        }
        Ok(there)
    }

    /// Uses a token once, for `name` in `role`.
    pub async fn redeem(&self, text: &str, role: &str, name: &str) -> Result<(), JoinRefused> {
        let mut parts = text.trim().split('.');
        let (Some(VERSION), Some(id), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(JoinRefused::Unknown);
        };
        for _ in 0..TRIES {
            let Some(stored) = self.store.get(&key(id)).await? else { return Err(JoinRefused::Unknown) };
            let mut token: JoinToken = serde_json::from_slice(&stored.value).map_err(|_| JoinRefused::Unknown)?;
            check(&token, secret, role)?;
            token.uses_left -= 1;
            token.used_by.push(format!("{role}/{name}"));
            let unchanged = Compare::At(key(id), stored.revision);
            match self.store.txn(vec![unchanged], vec![put(&token)]).await {
                Err(StoreError::Conflict { .. }) => {}
                done => return Ok(done.map(drop)?),
            }
        }
        Err(JoinRefused::Store(StoreError::Busy))
    }

    async fn forget_ended(&self, at: Timestamp) -> Result<(), StoreError> {
        let over = |token: &JoinToken| token.ends <= at || token.uses_left == 0;
        let ended: Vec<_> =
            self.list().await?.into_iter().filter(over).map(|token| Op::Delete(key(&token.id))).collect();
        for ops in ended.chunks(crate::store::MAX_TXN) {
            self.store.txn(Vec::new(), ops.to_vec()).await?;
        }
        Ok(())
    }
}

fn check(token: &JoinToken, secret: &str, role: &str) -> Result<(), JoinRefused> {
    // Digests are compared, so that the time it takes tells nothing of the secret.
    if digest(secret) != token.secret_sha256 {
        return Err(JoinRefused::Unknown);
    }
    if token.ends <= now() {
        return Err(JoinRefused::Ended);
    }
    if token.uses_left == 0 {
        return Err(JoinRefused::UsedUp);
    }
    match &token.role {
        Some(allowed) if allowed != role => Err(JoinRefused::Role { allowed: allowed.clone(), asked: role.to_owned() }),
        _ => Ok(()),
    }
}

fn key(id: &str) -> String {
    object_key(GROUP, PLURAL, None, id)
}

fn put(token: &JoinToken) -> Op {
    Op::Put(key(&token.id), Bytes::from(serde_json::to_vec(token).expect("plain data is JSON")))
}

fn random(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).expect("the system's random numbers");
    hex::encode(random)
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn tokens() -> JoinTokens {
        JoinTokens::new(Arc::new(MemoryStore::new(now())), "ca".to_owned())
    }

    fn new(uses: u32, ttl_seconds: u64) -> NewToken {
        NewToken { role: Some("worker".to_owned()), ttl_seconds, uses }
    }

    #[tokio::test]
    async fn a_token_lets_as_many_in_as_it_says() {
        let tokens = tokens();
        let (_, text) = tokens.create(&new(2, 60)).await.unwrap();
        tokens.redeem(&text, "worker", "a").await.unwrap();
        tokens.redeem(&text, "worker", "b").await.unwrap();
        assert_eq!(tokens.redeem(&text, "worker", "c").await, Err(JoinRefused::UsedUp));
        assert_eq!(tokens.list().await.unwrap()[0].used_by, ["worker/a", "worker/b"]);
    }

    #[tokio::test]
    async fn wrong_ended_and_revoked_tokens_and_those_of_another_role_let_nobody_in() {
        let tokens = tokens();
        let (token, text) = tokens.create(&new(1, 60)).await.unwrap();
        let wrong = text.replacen(&token.secret_sha256, "", 1).replace(&token.id, "00000000");
        assert_eq!(tokens.redeem(&wrong, "worker", "a").await, Err(JoinRefused::Unknown));
        let forged = format!("{VERSION}.{}.{}.ca", token.id, random(SECRET_BYTES));
        assert_eq!(tokens.redeem(&forged, "worker", "a").await, Err(JoinRefused::Unknown));
        assert_eq!(tokens.redeem("nonsense", "worker", "a").await, Err(JoinRefused::Unknown));
        let other = tokens.redeem(&text, "gateway", "a").await;
        assert!(matches!(other, Err(JoinRefused::Role { .. })), "{other:?}");
        let (_, ended) = tokens.create(&new(1, 0)).await.unwrap();
        assert_eq!(tokens.redeem(&ended, "worker", "a").await, Err(JoinRefused::Ended));
        assert!(tokens.revoke(&token.id).await.unwrap());
        assert_eq!(tokens.redeem(&text, "worker", "a").await, Err(JoinRefused::Unknown));
        assert!(!tokens.revoke(&token.id).await.unwrap());
    }

    #[tokio::test]
    async fn uses_at_the_same_time_are_all_counted() {
        let tokens = tokens();
        let (_, text) = tokens.create(&new(3, 60)).await.unwrap();
        let asked = (0..8).map(|n| {
            let (tokens, text) = (tokens.clone(), text.clone());
            async move { tokens.redeem(&text, "worker", &n.to_string()).await }
        });
        let let_in = futures::future::join_all(asked).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(let_in, 3);
    }
}
