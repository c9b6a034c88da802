//! Whose a token is: the administrator's, one of a file, one that is kept with the objects, or an account's.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};

use crate::{Account, Accounts, ISSUER, Token, User};

/// The longest token that is looked up, in bytes: hashing what strangers send costs something.
const MAX_TOKEN_BYTES: usize = 4096;

/// The digest of a token (SHA-256), by which it is known: the time that it takes to find one tells nothing of any.
pub type TokenDigest = [u8; 32];

/// A user who was given a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Whose it is.
    pub user: Arc<User>,
    /// It is nobody's from then on.
    pub until: Option<Timestamp>,
}

/// Whose tokens are. Clones share them.
#[derive(Clone)]
pub struct Users(Arc<Inner>);

struct Inner {
    admin: (Token, Arc<User>),
    of_file: HashMap<TokenDigest, Holder>,
    kept: RwLock<HashMap<TokenDigest, Holder>>,
    account_key: Token,
    accounts: RwLock<Arc<Accounts>>,
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").finish_non_exhaustive()
    }
}

impl Users {
    /// The administrator, and those of a token file. The key signs the tokens of accounts.
    pub fn new(admin: Token, of_file: HashMap<TokenDigest, Holder>, account_key: Token) -> Self {
        let (kept, accounts) = (RwLock::default(), RwLock::default());
        Self(Arc::new(Inner { admin: (admin, Arc::new(User::admin())), of_file, kept, account_key, accounts }))
    }

    /// Whose this token is.
    pub fn of(&self, shown: &str) -> Option<Arc<User>> {
        self.for_audiences(shown, &[ISSUER.to_owned()]).map(|(user, _)| user)
    }

    /// Whose this token is, and for which of these audiences: those of users are for the API alone.
    pub fn for_audiences(&self, shown: &str, audiences: &[String]) -> Option<(Arc<User>, Vec<String>)> {
        let ours = ISSUER.to_owned();
        if let Some(user) = self.of_user(shown) {
            return audiences.contains(&ours).then(|| (user, vec![ours]));
        }
        if shown.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (user, fits) = self.accounts().of(shown, audiences, Timestamp::now())?;
        Some((Arc::new(user), fits))
    }

    fn of_user(&self, shown: &str) -> Option<Arc<User>> {
        let (admin, user) = &self.0.admin;
        if admin.is(shown) {
            return Some(user.clone());
        }
        if shown.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let digest = digest(shown);
        if let Some(holder) = self.0.of_file.get(&digest) {
            return Some(holder.user.clone());
        }
        let kept = self.0.kept.read();
        let holder = kept.get(&digest)?;
        holder.until.is_none_or(|until| Timestamp::now() < until).then(|| holder.user.clone())
    }

    /// From now on, those that are kept with the objects.
    pub fn keep(&self, kept: HashMap<TokenDigest, Holder>) {
        *self.0.kept.write() = kept;
    }

    /// From now on, the accounts that there are, with their uids.
    pub fn keep_accounts(&self, uids: HashMap<Account, String>) {
        let key = self.0.account_key.as_str().as_bytes().to_vec();
        *self.0.accounts.write() = Arc::new(Accounts::new(key, uids));
    }

    /// The accounts that there are.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.0.accounts.read().clone()
    }
}

/// By what a token is known.
pub fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_whose_it_was_given_to_until_its_end_and_no_longer_than_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let admin = Token::load_or_create(&dir.path().join("token")).unwrap();
        let holder = |name: &str, until: Option<&str>| Holder {
            user: Arc::new(User::authenticated(name, ["team"])),
            until: until.map(|until| until.parse().unwrap()),
        };
        let users = Users::new(
            admin.clone(),
            HashMap::from([(digest("of the file"), holder("ann", None))]),
            Token::random().unwrap(),
        );
        let name = |shown: &str| users.of(shown).map(|user| user.name.clone());
        users.keep(HashMap::from([
            (digest("kept"), holder("bob", Some("2999-01-01T00:00:00Z"))),
            (digest("over"), holder("eve", Some("2020-01-01T00:00:00Z"))),
        ]));
        assert_eq!(name(admin.as_str()).as_deref(), Some("sampan:admin"));
        assert_eq!((name("of the file").as_deref(), name("kept").as_deref()), (Some("ann"), Some("bob")));
        assert_eq!((name("over"), name("other"), name("")), (None, None, None));
        assert!(users.of("kept").unwrap().is_in("system:authenticated"));
        users.keep(HashMap::new());
        assert_eq!(name("kept"), None);
    }
}
