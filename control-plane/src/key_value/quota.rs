use api::KeyValueError;

/// What sets a namespace's bytes.
pub const BYTES_FLAG: &str = "--key-value-namespace-bytes";
/// What sets a namespace's keys.
pub const KEYS_FLAG: &str = "--key-value-namespace-keys";

/// What each namespace may keep, in all of its buckets together.
///
/// Every store counts in what it keeps itself, in the step that changes it, and asks here whether the change may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Keys.
    pub keys: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { bytes: 1 << 30, keys: 1_000_000 }
    }
}

/// What a namespace keeps, or what a change takes or gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Usage {
    pub(super) bytes: u64,
    pub(super) keys: u64,
}

/// Which part of a quota is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Bytes,
    Keys,
}

impl Usage {
    /// Of one entry.
    pub(super) fn of(key: &str, value_bytes: usize) -> Self {
        Self { bytes: (key.len() + value_bytes) as u64, keys: 1 }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.keys += other.keys;
    }

    /// The same without what was there before.
    pub(super) fn without(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(other.bytes), keys: self.keys.saturating_sub(other.keys) }
    }
}

impl Quota {
    /// Whether a namespace may go from one state to another. One that keeps too much already may shrink, and may stay as it is.
    pub(super) fn admit(&self, namespace: &str, before: Usage, after: Usage) -> Result<(), KeyValueError> {
        let over = |before: u64, after: u64, limit: u64| after > limit && after > before;
        if over(before.bytes, after.bytes, self.bytes) {
            return Err(self.refusal(namespace, Part::Bytes, after.bytes));
        }
        if over(before.keys, after.keys, self.keys) {
            return Err(self.refusal(namespace, Part::Keys, after.keys));
        }
        Ok(())
    }

    /// What a guest is told whose write would make its namespace keep so much.
    pub(super) fn refusal(&self, namespace: &str, part: Part, would_be: u64) -> KeyValueError {
        let (what, limit, flag) = match part {
            Part::Bytes => ("bytes in its key-value stores", self.bytes, BYTES_FLAG),
            Part::Keys => ("keys in its key-value stores", self.keys, KEYS_FLAG),
        };
        KeyValueError::NoRoom(format!(
            "the namespace `{namespace}` would have {would_be} {what}, and its quota is {limit}: \
             delete what is not needed, or have {flag} raised"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_too_much_may_shrink_and_not_grow() {
        let quota = Quota { bytes: 10, keys: 2 };
        let usage = |bytes, keys| Usage { bytes, keys };
        assert!(quota.admit("a", usage(0, 0), usage(10, 2)).is_ok());
        assert!(quota.admit("a", usage(20, 5), usage(19, 5)).is_ok(), "it shrinks");
        for (after, flag) in [(usage(11, 1), BYTES_FLAG), (usage(9, 3), KEYS_FLAG)] {
            let refused = quota.admit("a", usage(8, 1), after).unwrap_err().to_string();
            assert!(refused.contains(flag) && refused.contains("namespace `a`"), "{refused}");
        }
    }
}
