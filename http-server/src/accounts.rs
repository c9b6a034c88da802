//! Tokens of accounts: JSON Web Tokens (RFC 7519) with the claims that Kubernetes gives them, signed with a key of the
//! installation (HMAC with SHA-256). Nothing is kept of one: it holds until it says, and as long as its account is there.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::{User, new_uid};

/// Who signs them, and for whom those are that name nobody else: the API itself, as Kubernetes calls it.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// What an account is called as a user: this, its namespace, a colon and its name.
const USER: &str = "system:serviceaccount:";

/// An account of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

impl Account {
    /// The account that a user is, by the user's name.
    pub fn of_user(name: &str) -> Option<Self> {
        let (namespace, name) = name.strip_prefix(USER)?.split_once(':')?;
        Some(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// What it is in.
    pub fn groups(&self) -> Vec<String> {
        vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{}", self.namespace)]
    }

    /// What it is called as a user.
    pub fn user_name(&self) -> String {
        format!("{USER}{}:{}", self.namespace, self.name)
    }
}

/// The accounts that there are, by which their tokens are known.
#[derive(Clone, Default)]
pub struct Accounts {
    key: Vec<u8>,
    uids: HashMap<Account, String>,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").field("accounts", &self.uids.len()).finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Vec<String>,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Bound,
}

#[derive(Debug, Serialize, Deserialize)]
struct Bound {
    namespace: String,
    serviceaccount: BoundAccount,
}

#[derive(Debug, Serialize, Deserialize)]
struct BoundAccount {
    name: String,
    uid: String,
}

impl Accounts {
    /// With the key that signs, and the uid of each account. Without a key no token is anybody's.
    pub fn new(key: Vec<u8>, uids: HashMap<Account, String>) -> Self {
        Self { key, uids }
    }

    /// Whether this account is there with this uid, and can be given tokens.
    pub fn knows(&self, account: &Account, uid: &str) -> bool {
        !self.key.is_empty() && self.uids.get(account).is_some_and(|known| known == uid)
    }

    /// A token for those audiences, and when it ends. `None`: there is no such account, or no key.
    pub fn sign(
        &self,
        account: &Account,
        audiences: &[String],
        now: Timestamp,
        seconds: i64,
    ) -> Option<(String, Timestamp)> {
        let uid = self.uids.get(account).filter(|_| !self.key.is_empty())?.clone();
        let until = now.checked_add(SignedDuration::from_secs(seconds)).ok()?;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: account.user_name(),
            aud: audiences.to_vec(),
            iat: now.as_second(),
            nbf: now.as_second(),
            exp: until.as_second(),
            jti: new_uid(),
            kubernetes: Bound {
                namespace: account.namespace.clone(),
                serviceaccount: BoundAccount { name: account.name.clone(), uid },
            },
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&self.key));
        Some((token.ok()?, until))
    }

    /// Whose a token is, and for which of these audiences it is. `None`: it is no token of an account that is there, it is over,
    /// or it is for others.
    pub fn of(&self, shown: &str, audiences: &[String], now: Timestamp) -> Option<(User, Vec<String>)> {
        if self.key.is_empty() {
            return None;
        }
        let mut validation = Validation::new(Algorithm::HS256);
        // The rest is checked below, against the time that is given.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims =
            jsonwebtoken::decode::<Claims>(shown, &DecodingKey::from_secret(&self.key), &validation).ok()?.claims;
        let holds = claims.iss == ISSUER && claims.nbf <= now.as_second() && now.as_second() < claims.exp;
        let account = Account::of_user(&claims.sub).filter(|_| holds)?;
        let uid = claims.kubernetes.serviceaccount.uid;
        if !self.knows(&account, &uid) {
            return None;
        }
        let fits: Vec<_> = audiences.iter().filter(|audience| claims.aud.contains(audience)).cloned().collect();
        let user = User { uid, ..User::authenticated(account.user_name(), account.groups()) };
        (!fits.is_empty()).then_some((user, fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn audiences(of: &[&str]) -> Vec<String> {
        of.iter().map(|&one| one.to_owned()).collect()
    }

    #[test]
    fn a_token_is_its_accounts_between_its_times_and_while_the_account_is_there() {
        let cart = Account { namespace: "shop".to_owned(), name: "cart".to_owned() };
        let with = |key: &[u8], uid: &str| Accounts::new(key.to_vec(), HashMap::from([(cart.clone(), uid.to_owned())]));
        let (accounts, ours) = (with(b"key", "1"), audiences(&[ISSUER]));
        let (token, until) = accounts.sign(&cart, &ours, at(1000), 600).unwrap();
        assert_eq!(until, at(1600));
        let (user, fits) = accounts.of(&token, &ours, at(1000)).unwrap();
        assert_eq!(
            (user.name.as_str(), user.uid.as_str(), fits),
            ("system:serviceaccount:shop:cart", "1", ours.clone())
        );
        assert!(user.is_in("system:serviceaccounts:shop") && user.is_in("system:authenticated"));
        assert!(accounts.of(&token, &ours, at(1599)).is_some());
        for (accounts, now) in [
            (&accounts, at(1600)),
            (&accounts, at(999)),
            (&with(b"other", "1"), at(1000)),
            (&with(b"key", "2"), at(1000)),
        ] {
            assert_eq!(accounts.of(&token, &ours, now), None);
        }
        assert_eq!(Accounts::new(b"key".to_vec(), HashMap::new()).of(&token, &ours, at(1000)), None, "it was deleted");
        assert_eq!(with(b"", "1").sign(&cart, &ours, at(1000), 600), None);
    }

    #[test]
    fn a_token_for_others_is_nobodys_here_and_is_known_to_them() {
        let cart = Account { namespace: "shop".to_owned(), name: "cart".to_owned() };
        let accounts = Accounts::new(b"key".to_vec(), HashMap::from([(cart.clone(), "1".to_owned())]));
        let (token, _) = accounts.sign(&cart, &audiences(&["vault", "db"]), at(0), 600).unwrap();
        assert_eq!(accounts.of(&token, &audiences(&[ISSUER]), at(1)), None);
        assert_eq!(accounts.of(&token, &audiences(&["db", "other"]), at(1)).unwrap().1, ["db"]);
    }

    #[test]
    fn what_is_signed_in_another_way_or_not_at_all_is_refused() {
        let cart = Account { namespace: "shop".to_owned(), name: "cart".to_owned() };
        let accounts = Accounts::new(b"key".to_vec(), HashMap::from([(cart.clone(), "1".to_owned())]));
        let ours = audiences(&[ISSUER]);
        let (token, _) = accounts.sign(&cart, &ours, at(0), 600).unwrap();
        let parts: Vec<_> = token.split('.').collect();
        // `{"alg":"none","typ":"JWT"}`.
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
        // `{"alg":"HS512","typ":"JWT"}`.
        let other = format!("eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.{}.{}", parts[1], parts[2]);
        for token in
            [unsigned.as_str(), &other, &token[..token.len() - 2], "", "a.b.c", &format!("{}.{}", parts[0], parts[1])]
        {
            assert_eq!(accounts.of(token, &ours, at(1)), None, "{token}");
        }
    }
}
