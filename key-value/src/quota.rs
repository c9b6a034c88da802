use api::{KeyValueError, Refusals, Refused};

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
    /// What is refused is counted.
    pub(super) fn admit(
        &self,
        refused: &Refusals,
        namespace: &str,
        before: Usage,
        after: Usage,
    ) -> Result<(), KeyValueError> {
        let over = |before: u64, after: u64, limit: u64| after > limit && after > before;
        if over(before.bytes, after.bytes, self.bytes) {
            return Err(self.refuse(refused, namespace, Part::Bytes, after.bytes));
        }
        if over(before.keys, after.keys, self.keys) {
            return Err(self.refuse(refused, namespace, Part::Keys, after.keys));
        }
        Ok(())
    }

    /// Counts that a write would make a namespace keep so much. The guest is told the same as users are.
    pub(super) fn refuse(&self, refused: &Refusals, namespace: &str, part: Part, would_be: u64) -> KeyValueError {
        let (quota, what, limit, flag) = match part {
            Part::Bytes => ("key-value bytes", "bytes in its key-value stores", self.bytes, BYTES_FLAG),
            Part::Keys => ("key-value keys", "keys in its key-value stores", self.keys, KEYS_FLAG),
        };
        let why = format!(
            "the namespace `{namespace}` would have {would_be} {what}, and its quota is {limit}: \
             delete what is not needed, or have {flag} raised"
        );
        refused.count(Refused::Write, "quota", namespace);
        refused.quotas().note(quota, namespace, &why);
        KeyValueError::NoRoom(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_too_much_may_shrink_and_not_grow() {
        let quota = Quota { bytes: 10, keys: 2 };
        let (counted, usage) = (Refusals::default(), |bytes, keys| Usage { bytes, keys });
        let admit = |before, after| quota.admit(&counted, "a", before, after);
        assert!(admit(usage(0, 0), usage(10, 2)).is_ok());
        assert!(admit(usage(20, 5), usage(19, 5)).is_ok(), "it shrinks");
        for (after, flag) in [(usage(11, 1), BYTES_FLAG), (usage(9, 3), KEYS_FLAG)] {
            let refused = admit(usage(8, 1), after).unwrap_err().to_string();
            assert!(refused.contains(flag) && refused.contains("namespace `a`"), "{refused}");
        }
        assert_eq!(counted.of(Refused::Write)[0].count, 2);
    }
}
