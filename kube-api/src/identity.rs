//! Identities and times as Kubernetes writes them.

use std::{
    sync::LazyLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use api::{ReplicaId, Timestamp};
use sha2::{Digest, Sha256};

/// An identity that follows from what it identifies: the same parts give the same `uid`, also after a restart.
pub fn derived_uid(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid(bytes, 0x80)
}

/// The identity of a replica's Pod. The name is never used twice, so it follows from it.
pub fn pod_uid(id: &ReplicaId) -> String {
    derived_uid(&["pod", &id.0.namespace, &id.0.name])
}

fn uuid(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = (bytes[6] & 0x0f) | version;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A moment in RFC 3339, to the second.
pub fn rfc3339(at: Timestamp) -> String {
    // `Timestamp` is bounded by `u64` microseconds, which jiff's range may not hold; such a moment is nobody's creation.
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// Reads a moment in RFC 3339.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp { micros: u64::try_from(at.as_microsecond()).ok()? })
}

/// The wall clock and the steady clock, read together when the process first asked.
static START: LazyLock<(Timestamp, Instant)> = LazyLock::new(|| {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (Timestamp { micros: u64::try_from(since.as_micros()).unwrap_or(u64::MAX) }, Instant::now())
});

/// Now, as the shell hands it to everything that decides: it goes on steadily when somebody sets the machine's clock, so
/// that no worker is lost and no token ends by it.
pub fn now() -> Timestamp {
    let (at, steady) = *START;
    at + steady.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_uid_is_a_uuid_and_stays_the_same() {
        let uid = derived_uid(&["pod", "default", "hello"]);
        assert_eq!(uid, derived_uid(&["pod", "default", "hello"]));
        assert_ne!(uid, derived_uid(&["pod", "defaulth", "ello"]));
        assert_eq!(uid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }

    #[test]
    fn moments_are_read_back_as_written() {
        let at = Timestamp::from_secs(1_700_000_000);
        assert_eq!(rfc3339(at), "2023-11-14T22:13:20Z");
        assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at));
    }
}
