use api::{KeyValueError, Listing};
use bytes::Bytes;

use super::{
    WireError, needed,
    proto::{self, key_value_answer::Outcome, key_value_failure::Kind},
};

/// What the store answered, as it travels.
pub(crate) fn key_value_outcome(result: Result<Outcome, KeyValueError>) -> proto::KeyValueAnswer {
    let outcome = result.unwrap_or_else(|error| Outcome::Failure(error.into()));
    proto::KeyValueAnswer { outcome: Some(outcome) }
}

/// What came, as the store answered it.
pub(crate) fn key_value_result(answer: proto::KeyValueAnswer) -> Result<Outcome, KeyValueError> {
    let unreadable = |error: WireError| KeyValueError::Store(error.to_string());
    match needed(answer.outcome, "answer.outcome").map_err(unreadable)? {
        Outcome::Failure(failure) => Err(failure.into()),
        outcome => Ok(outcome),
    }
}

impl From<KeyValueError> for proto::KeyValueFailure {
    fn from(error: KeyValueError) -> Self {
        let kind = match error {
            KeyValueError::TooLarge { what, bytes, limit_bytes } => Kind::TooLarge(proto::TooLarge {
                what: what.to_owned(),
                bytes: bytes as u64,
                limit_bytes: limit_bytes as u64,
            }),
            KeyValueError::TooMany { count, limit } => {
                Kind::TooMany(proto::TooMany { count: count as u64, limit: limit as u64 })
            }
            KeyValueError::NotANumber { key } => Kind::NotANumber(key),
            KeyValueError::NoRoom(why) => Kind::NoRoom(why),
            KeyValueError::Store(why) => Kind::Store(why),
        };
        Self { kind: Some(kind) }
    }
}

impl From<proto::KeyValueFailure> for KeyValueError {
    fn from(failure: proto::KeyValueFailure) -> Self {
        match failure.kind {
            Some(Kind::TooMany(proto::TooMany { count, limit })) => Self::TooMany {
                count: usize::try_from(count).unwrap_or(usize::MAX),
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
            },
            Some(Kind::TooLarge(proto::TooLarge { what, bytes, limit_bytes })) => Self::TooLarge {
                what: ["key", "batch"].into_iter().find(|known| *known == what).unwrap_or("value"),
                bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
                limit_bytes: usize::try_from(limit_bytes).unwrap_or(usize::MAX),
            },
            Some(Kind::NotANumber(key)) => Self::NotANumber { key },
            Some(Kind::NoRoom(why)) => Self::NoRoom(why),
            Some(Kind::Store(why)) => Self::Store(why),
            None => Self::Store("it failed in a way that this version does not know".to_owned()),
        }
    }
}

impl From<Option<Bytes>> for proto::Value {
    fn from(value: Option<Bytes>) -> Self {
        Self { value: value.map(Into::into) }
    }
}

impl From<proto::Value> for Option<Bytes> {
    fn from(value: proto::Value) -> Self {
        value.value.map(Into::into)
    }
}

impl From<Listing> for proto::Listing {
    fn from(Listing { keys, cursor }: Listing) -> Self {
        Self { keys, cursor }
    }
}

impl From<proto::Listing> for Listing {
    fn from(proto::Listing { keys, cursor }: proto::Listing) -> Self {
        Self { keys, cursor }
    }
}
