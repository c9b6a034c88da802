use api::KeyValueError;
pub use api::{MAX_BATCH, MAX_BATCH_BYTES, MAX_VALUE_BYTES};
use bytes::Bytes;

use store::encryption::MAX_SEAL_BYTES;

/// The longest key.
pub const MAX_KEY_BYTES: usize = 1024;
/// Keys of one page of a listing.
pub const MAX_PAGE: usize = 512;

/// Bytes of values that are read, sealed or opened without a pause: whoever asks may do so on a thread that serves. In a file a larger
/// value is found, which can mean to read it from the disk, and then copied.
pub(super) const BYTES_IN_A_ROW: usize = 1 << 20;

/// So much longer may a value be where it is kept: that long is the seal of one.
pub(super) const MAX_STORED_VALUE_BYTES: usize = MAX_VALUE_BYTES + MAX_SEAL_BYTES;
/// Bytes of the values of one call where they are kept.
const MAX_STORED_BATCH_BYTES: usize = MAX_BATCH_BYTES + MAX_BATCH * MAX_SEAL_BYTES;

pub(super) fn check_keys<'a>(keys: impl ExactSizeIterator<Item = &'a String>) -> Result<(), KeyValueError> {
    let count = keys.len();
    if count > MAX_BATCH {
        return Err(KeyValueError::TooMany { count, limit: MAX_BATCH });
    }
    for key in keys {
        within("key", key.len(), MAX_KEY_BYTES)?;
    }
    Ok(())
}

/// Checks what a guest writes.
pub(super) fn check_written(entries: &[(String, Bytes)]) -> Result<(), KeyValueError> {
    check_keys(entries.iter().map(|(key, _)| key))?;
    entries.iter().try_for_each(|(_, value)| check_written_value(value))?;
    within("batch", entries.iter().map(|(_, value)| value.len()).sum(), MAX_BATCH_BYTES)
}

pub(super) fn check_written_value(value: &Bytes) -> Result<(), KeyValueError> {
    within("value", value.len(), MAX_VALUE_BYTES)
}

/// Checks what a store is to keep of it.
pub(super) fn check_entries(entries: &[(String, Bytes)]) -> Result<(), KeyValueError> {
    check_keys(entries.iter().map(|(key, _)| key))?;
    entries.iter().try_for_each(|(_, value)| check_value(value))?;
    within("batch", entries.iter().map(|(_, value)| value.len()).sum(), MAX_STORED_BATCH_BYTES)
}

/// Checks what a call reads at once.
pub(super) fn check_read(bytes: usize, limit_bytes: usize) -> Result<(), KeyValueError> {
    within("batch", bytes, limit_bytes)
}

pub(super) fn check_value(value: &Bytes) -> Result<(), KeyValueError> {
    within("value", value.len(), MAX_STORED_VALUE_BYTES)
}

fn within(what: &'static str, bytes: usize, limit_bytes: usize) -> Result<(), KeyValueError> {
    if bytes > limit_bytes { Err(KeyValueError::TooLarge { what, bytes, limit_bytes }) } else { Ok(()) }
}

/// The sum, where the stored value is decimal text and absent counts as zero.
pub(super) fn incremented(key: &str, stored: Option<&[u8]>, delta: i64) -> Result<i64, KeyValueError> {
    let not_a_number = || KeyValueError::NotANumber { key: key.to_owned() };
    let before = match stored {
        None => 0,
        Some(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| not_a_number())?;
            text.parse::<i64>().map_err(|_| not_a_number())?
        }
    };
    // A sum that does not fit is no number that could be stored.
    before.checked_add(delta).ok_or_else(not_a_number)
}
