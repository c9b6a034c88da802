use std::{sync::Arc, time::Duration};

use api::{Timestamp, WorkerName};
use bytes::Bytes;
use kube_api::identity::now;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Compare, Op, Revision, Store, StoreError, object_key};
use subtle::ConstantTimeEq;

use crate::peers::{Allowance, Peers};

/// What the keys of tokens are in the store.
const GROUP: &str = "sampan.dev";
const PLURAL: &str = "jointokens";
/// Bytes of a token's public part, and of its secret part.
const ID_BYTES: usize = 4;
const SECRET_BYTES: usize = 16;
/// What a token begins with.
const VERSION: &str = "sampan1";
/// Tokens that are kept at a time: each until it ends, unless so many are used up that there is no room.
const MAX_TOKENS: usize = 1000;
/// The role whose tokens say what those may that join.
const WORKER: &str = "worker";

/// A token as it is kept: never its secret, but a digest of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JoinToken {
    pub(crate) id: String,
    secret_sha256: String,
    /// What it is good for: `worker`, `gateway`; `None`: either.
    pub(crate) role: Option<String>,
    /// What who joins with it is to be called; `None`: as it likes, where the name is free.
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) ends: Timestamp,
    pub(crate) uses_left: u32,
    /// Who joined with it.
    pub(crate) used_by: Vec<String>,
    /// What a worker may that joins with it.
    #[serde(default)]
    pub(crate) allows: Allowance,
    /// The fingerprint of the authority that it names; `None`: it is from before that was noted.
    #[serde(default)]
    pub(crate) authority: Option<String>,
}

/// What a new token is to be.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewToken {
    pub(crate) role: Option<String>,
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) ttl_seconds: u64,
    pub(crate) uses: u32,
    #[serde(default)]
    pub(crate) allows: Allowance,
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
    /// It is for another name.
    #[error(
        "the join token is for the name `{allowed}`, not for `{asked}`: start with --name {allowed}, or make another token"
    )]
    Name {
        /// What it is for.
        allowed: String,
        /// What was asked for.
        asked: String,
    },
    /// The name is that of somebody who is there, and whose key is another.
    #[error(
        "there is a {role} `{name}` already, and it is alive: choose another name with --name. To put this machine in its \
         place, end that one and free its name with `{}`",
        way_out(role, name)
    )]
    Alive {
        /// What it is.
        role: String,
        /// The name.
        name: String,
    },
    /// The name belongs to somebody with another key.
    #[error(
        "the name `{name}` belongs to a {role} with another key: choose another name with --name. If that {role} is gone, or \
         this is it and it has lost its data directory, an administrator frees the name with `{}`",
        way_out(role, name)
    )]
    NameTaken {
        /// What it is.
        role: String,
        /// The name.
        name: String,
    },
    /// The certificate or the key was taken back.
    #[error("the certificate was revoked, and its key with it: join again with a token")]
    Revoked,
    /// More certificates than may be in force.
    #[error(
        "{role} `{name}` has too many certificates that hold: wait until some have ended, or free it with `{}`",
        way_out(role, name)
    )]
    TooMany {
        /// What it is.
        role: String,
        /// The name.
        name: String,
    },
    /// As many tokens hold as may.
    #[error(
        "{MAX_TOKENS} join tokens hold: take some back with `sampan token revoke ID`, or wait until some have ended"
    )]
    TooManyTokens,
    /// It could not be looked up.
    #[error("the join token cannot be looked up: {0}")]
    Store(#[from] StoreError),
}

impl JoinRefused {
    /// In a word, for counts.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "wrong_token",
            Self::Ended => "ended_token",
            Self::UsedUp => "used_up_token",
            Self::Role { .. } => "other_role",
            Self::Name { .. } => "other_name",
            Self::Alive { .. } | Self::NameTaken { .. } => "name_taken",
            Self::Revoked => "revoked",
            Self::TooMany { .. } => "too_many_certificates",
            Self::TooManyTokens => "too_many_tokens",
            Self::Store(_) => "not_looked_up",
        }
    }
}

/// What an administrator does to free a name.
fn way_out(role: &str, name: &str) -> String {
    match role {
        "worker" => format!("kubectl delete node {name}` or `sampan certificate revoke worker/{name}"),
        _ => format!("sampan certificate revoke {role}/{name}"),
    }
}

/// The join tokens of an installation. Clones are handles to the same.
#[derive(Clone)]
pub(crate) struct JoinTokens {
    store: Arc<dyn Store>,
    /// What a token carries, so that who joins knows the installation.
    authority: Arc<Mutex<String>>,
    /// Who is told what workers may that join.
    peers: Peers,
}

impl JoinTokens {
    pub(crate) fn new(store: Arc<dyn Store>, authority: String) -> Self {
        Self { store, authority: Arc::new(Mutex::new(authority)), peers: Peers::default() }
    }

    /// What tokens carry from now on. Those of before are as they are.
    pub(super) fn set_authority(&self, fingerprint: String) {
        *self.authority.lock() = fingerprint;
    }

    /// Tells `peers` what workers may that join.
    pub(crate) fn telling(self, peers: Peers) -> Self {
        Self { peers, ..self }
    }

    /// A worker has joined, and may this.
    pub(super) fn allow(&self, worker: &WorkerName, allowance: Allowance) {
        self.peers.allow(worker, allowance);
    }

    /// Makes a token: the text is shown this once.
    pub(crate) async fn create(&self, new: &NewToken) -> Result<(JoinToken, String), JoinRefused> {
        let at = now();
        let (id, secret, authority) = (random(ID_BYTES), random(SECRET_BYTES), self.authority.lock().clone());
        let token = JoinToken {
            secret_sha256: digest(&secret),
            role: new.role.clone(),
            name: new.name.clone(),
            created: at,
            ends: at + Duration::from_secs(new.ttl_seconds),
            uses_left: new.uses,
            used_by: Vec::new(),
            allows: new.allows.clone(),
            authority: Some(authority.clone()),
            id,
        };
        self.make_room(at).await?;
        self.store.txn(vec![Compare::Absent(key(&token.id))], vec![put(&token)]).await?;
        let text = format!("{VERSION}.{}.{secret}.{authority}", token.id);
        Ok((token, text))
    }

    pub(crate) async fn list(&self) -> Result<Vec<JoinToken>, StoreError> {
        // Two that are made at once may be one too many.
        let page = self.store.list(&object_key(GROUP, PLURAL, None, ""), 2 * MAX_TOKENS, None).await?;
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

    /// The token of this text, if it lets `name` in as `role`.
    pub(super) async fn look_up(&self, text: &str, role: &str, name: &str) -> Result<Held, JoinRefused> {
        let held = self.find(text).await?;
        check(&held.token, role, name)?;
        Ok(held)
    }

    /// The token of this text, whether or not it lets anybody in.
    pub(super) async fn find(&self, text: &str) -> Result<Held, JoinRefused> {
        let mut parts = text.trim().split('.');
        let (Some(VERSION), Some(id), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(JoinRefused::Unknown);
        };
        if id.len() != 2 * ID_BYTES || secret.len() != 2 * SECRET_BYTES {
            return Err(JoinRefused::Unknown);
        }
        let Some(stored) = self.store.get(&key(id)).await? else { return Err(JoinRefused::Unknown) };
        let token: JoinToken = serde_json::from_slice(&stored.value).map_err(|_| JoinRefused::Unknown)?;
        // Digests are compared, each byte of them, so that the time it takes tells nothing of the secret.
        if !bool::from(digest(secret).as_bytes().ct_eq(token.secret_sha256.as_bytes())) {
            return Err(JoinRefused::Unknown);
        }
        Ok(Held { token, revision: stored.revision })
    }

    /// Whether a token of before this moment, or of its second, still lets somebody in.
    pub(super) async fn any_of_before(&self, at: Timestamp) -> Result<bool, StoreError> {
        let is_before = |token: &JoinToken| token.created.as_secs() <= at.as_secs();
        let holds = |token: &JoinToken| is_before(token) && token.ends > now() && token.uses_left > 0;
        Ok(self.list().await?.iter().any(holds))
    }

    /// Removes what has ended, and makes room for one more: those that are used up go first that were made first.
    async fn make_room(&self, at: Timestamp) -> Result<(), JoinRefused> {
        let (mut gone, mut kept): (Vec<_>, Vec<_>) = self.list().await?.into_iter().partition(|token| token.ends <= at);
        let too_many = (kept.len() + 1).saturating_sub(MAX_TOKENS);
        kept.retain(|token| token.uses_left == 0);
        kept.sort_by_key(|token| token.created);
        let full = kept.len() < too_many;
        gone.extend(kept.into_iter().take(too_many));
        let gone: Vec<_> = gone.iter().map(|token| Op::Delete(key(&token.id))).collect();
        for ops in gone.chunks(store::MAX_TXN) {
            self.store.txn(Vec::new(), ops.to_vec()).await?;
        }
        if full { Err(JoinRefused::TooManyTokens) } else { Ok(()) }
    }
}

/// A token that holds, as it was read.
#[derive(Debug)]
pub(super) struct Held {
    token: JoinToken,
    revision: Revision,
}

impl Held {
    pub(super) fn id(&self) -> &str {
        &self.token.id
    }

    /// What a worker may that joins with it by this name; `None`: it is for another role.
    pub(super) fn allows(&self, role: &str, name: &str) -> Option<(WorkerName, Allowance)> {
        (role == WORKER).then(|| (WorkerName(name.into()), self.token.allows.clone()))
    }

    /// What uses it once: it must be as it was read.
    pub(super) fn used_by(mut self, who: &str) -> (Compare, Op) {
        self.token.uses_left -= 1;
        self.token.used_by.push(who.to_owned());
        (Compare::At(key(&self.token.id), self.revision), put(&self.token))
    }
}

fn check(token: &JoinToken, role: &str, name: &str) -> Result<(), JoinRefused> {
    if token.ends <= now() {
        return Err(JoinRefused::Ended);
    }
    if token.uses_left == 0 {
        return Err(JoinRefused::UsedUp);
    }
    match (&token.role, &token.name) {
        (Some(allowed), _) if allowed != role => {
            Err(JoinRefused::Role { allowed: allowed.clone(), asked: role.to_owned() })
        }
        (_, Some(allowed)) if allowed != name => {
            Err(JoinRefused::Name { allowed: allowed.clone(), asked: name.to_owned() })
        }
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
