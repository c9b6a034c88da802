//! The protocol's messages, and how they are made from the language of the roles and read back.
//!
//! Fields that are not known are skipped. A message of a kind that is not known is [`WireError::Unknown`], which callers
//! skip as a whole.

mod gateway;
mod guard;
mod key_value;
mod replica;
#[cfg(test)]
mod tests;
pub(crate) mod weight;
mod worker;

use std::time::Duration;

use api::{Address, Digest, ObjectKey, ReplicaId, Timestamp};

use crate::identity::{Revoked, Trust};

/// As `proto/sampan.proto` says. `tests/generated.rs` makes it.
#[allow(missing_docs, unreachable_pub, dead_code, clippy::all, reason = "generated; the protocol file documents it")]
pub(crate) mod proto {
    include!("generated/sampan.v1.rs");
}

pub(crate) use key_value::{key_value_outcome, key_value_result};

/// Why a message cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[allow(unreachable_pub, reason = "the generated messages, which are read with it, are `pub` too")]
pub enum WireError {
    /// Of a later version.
    #[error("{message} of a kind that is not known")]
    Unknown { message: &'static str },
    /// Something that each version says is not there, or makes no sense.
    #[error("the field {field} is missing, or makes no sense")]
    Invalid { field: &'static str },
}

/// The longest name of an object; what is made for one adds to its own.
const MAX_NAME_BYTES: usize = 512;

/// A field that has to be there.
fn needed<T>(value: Option<T>, field: &'static str) -> Result<T, WireError> {
    value.ok_or(WireError::Invalid { field })
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn span(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn moment(micros: u64) -> Timestamp {
    Timestamp { micros }
}

fn digest(text: &str, field: &'static str) -> Result<Digest, WireError> {
    text.parse().map_err(|_| WireError::Invalid { field })
}

fn key(value: Option<proto::ObjectKey>, field: &'static str) -> Result<ObjectKey, WireError> {
    let proto::ObjectKey { namespace, name } = needed(value, field)?;
    let is_name = |text: &str| (1..=MAX_NAME_BYTES).contains(&text.len());
    if !is_name(&namespace) || !is_name(&name) {
        return Err(WireError::Invalid { field });
    }
    Ok(ObjectKey::new(namespace, name))
}

fn replica_id(value: Option<proto::ObjectKey>, field: &'static str) -> Result<ReplicaId, WireError> {
    key(value, field).map(ReplicaId)
}

impl From<ObjectKey> for proto::ObjectKey {
    fn from(key: ObjectKey) -> Self {
        Self { namespace: key.namespace.to_string(), name: key.name.to_string() }
    }
}

impl From<&Trust> for proto::Trust {
    fn from(trust: &Trust) -> Self {
        Self {
            authorities: trust.authorities().to_vec(),
            revoked_serials: trust.revoked.serials.iter().cloned().collect(),
            revoked_keys: trust.revoked.keys.iter().cloned().collect(),
        }
    }
}

impl From<proto::Trust> for Trust {
    fn from(trust: proto::Trust) -> Self {
        let (serials, keys) = (trust.revoked_serials.into_iter().collect(), trust.revoked_keys.into_iter().collect());
        Self::new(trust.authorities, Revoked { serials, keys })
    }
}

impl From<Address> for proto::Address {
    fn from(Address { machine, socket, tcp }: Address) -> Self {
        Self { machine, socket, tcp }
    }
}

impl From<proto::Address> for Address {
    fn from(proto::Address { machine, socket, tcp }: proto::Address) -> Self {
        Self { machine, socket, tcp }
    }
}
