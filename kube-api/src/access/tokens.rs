//! Tokens of users that are kept with the objects: each in a Secret of `kube-system`, as its digest alone. Those of
//! accounts are kept nowhere.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use http_server::{Account, Holder, TokenDigest, User};
use serde_json::Value;

/// Where those Secrets are.
pub const USERS_NAMESPACE: &str = "kube-system";
/// The `type` of those Secrets. Their data: `user`, `groups` (with commas between), `sha256` of the token (in hexadecimal), and
/// `until` when it holds (RFC 3339).
pub const TOKEN_TYPE: &str = "sampan.dev/user-token";

/// The uids of stored ServiceAccounts.
pub(super) fn accounts<'a>(accounts: impl Iterator<Item = &'a Value>) -> HashMap<Account, String> {
    let uids = accounts.filter_map(|account| {
        let field = |name: &str| account["metadata"][name].as_str().map(str::to_owned);
        // One that is being deleted is not there for who shows its token.
        let stays = account["metadata"]["deletionTimestamp"].is_null();
        Some((Account { namespace: field("namespace")?, name: field("name")? }, field("uid")?)).filter(|_| stays)
    });
    uids.collect()
}

/// The users of Secrets. What is no token of one is passed over.
pub(super) fn of_secrets<'a>(secrets: impl Iterator<Item = &'a Value>) -> HashMap<TokenDigest, Holder> {
    secrets.filter_map(of_secret).collect()
}

fn of_secret(secret: &Value) -> Option<(TokenDigest, Holder)> {
    if secret["type"] != TOKEN_TYPE {
        return None;
    }
    let field = |name: &str| {
        let bytes = BASE64_STANDARD.decode(secret["data"][name].as_str()?).ok()?;
        String::from_utf8(bytes).ok()
    };
    let mut digest = TokenDigest::default();
    hex::decode_to_slice(field("sha256")?.trim(), &mut digest).ok()?;
    let name = field("user").filter(|name| !name.is_empty())?;
    let groups = field("groups").unwrap_or_default();
    let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
    // One that says until when, and not rightly, holds no longer.
    let until = match field("until") {
        Some(until) => Some(until.trim().parse().ok()?),
        None => None,
    };
    let uid = secret["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let user = User { uid, ..User::authenticated(name, groups) };
    Some((digest, Holder { user: Arc::new(user), until }))
}
