//! Values that are encrypted where they are kept: AES-256-GCM, with keys of a file.
//!
//! A sealed value is `sampan:enc:v1:NAME:`, 32 random bytes, 12 more, the ciphertext and its tag. The key of each value is the
//! HMAC-SHA256 of its first 32 random bytes by the key with that name, so that the number of values that one key seals is not
//! bounded by the nonces' 12 bytes. What is sealed is bound to the place where it is kept: at another place it does not open.

mod file;
mod reseal;

use std::{borrow::Cow, fmt, sync::Arc};

use ring::{aead, hmac, rand::SecureRandom};

pub use file::{InvalidKeys, MAX_KEYS};
pub use reseal::{Failure, reseal};

/// What a sealed value begins with. A name and `:` follow; without a name the rest is as it is.
const PREFIX: &[u8] = b"sampan:enc:v1:";
const SALT_BYTES: usize = 32;
/// So much longer than what is in it a sealed value is at most.
pub const MAX_SEAL_BYTES: usize =
    PREFIX.len() + file::MAX_NAME_BYTES + 1 + SALT_BYTES + aead::NONCE_LEN + aead::MAX_TAG_LEN;

/// The keys that values are encrypted by: the first writes, all of them read. Without keys values are written as they are.
#[derive(Clone, Default)]
pub struct EncryptionKeys {
    keys: Arc<[Key]>,
    /// New values are not encrypted, though some are that are read.
    writes_plain: bool,
}

#[derive(Clone)]
struct Key {
    name: String,
    secret: hmac::Key,
}

/// A value was sealed, and does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Sealed {
    /// There is no key of that name.
    #[error("it is encrypted with the key `{0}`: name a file that has it with --encryption-key-file")]
    UnknownKey(String),
    /// The key is another than it was sealed by, or the value another than was sealed here.
    #[error(
        "it does not open with the key `{0}`: the key is another than it was encrypted with, or the value was changed or moved"
    )]
    Wrong(String),
    /// It begins as sealed values do, and is none.
    #[error("it is no whole encrypted value")]
    Damaged,
}

impl EncryptionKeys {
    /// The name of the key that writes; `None`: values are written as they are.
    pub fn writer(&self) -> Option<&str> {
        self.first().map(|key| key.name.as_str())
    }

    /// The names of the keys that do not write, but read.
    pub fn readers(&self) -> impl Iterator<Item = &str> {
        let writer = self.writer();
        self.keys.iter().map(|key| key.name.as_str()).filter(move |name| Some(*name) != writer)
    }

    /// Whether values are read that are kept otherwise than they are written now.
    pub fn reads_others(&self) -> bool {
        self.keys.len() > 1 || (self.writes_plain && !self.keys.is_empty())
    }

    /// Whether nothing is sealed, and nothing that is sealed is read.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key that a kept value was sealed by.
    pub fn name_in(kept: &[u8]) -> Option<&str> {
        let name = kept.strip_prefix(PREFIX)?.split(|byte| *byte == b':').next()?;
        std::str::from_utf8(name).ok().filter(|name| !name.is_empty())
    }

    fn first(&self) -> Option<&Key> {
        self.keys.first().filter(|_| !self.writes_plain)
    }

    /// What is kept of a value at a place.
    ///
    /// # Panics
    ///
    /// Where the system gives no random numbers: what must be encrypted is never written otherwise.
    pub fn seal<'a>(&self, place: &[&str], value: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(key) = self.first() else {
            // What looks as if it was sealed says that it is not.
            let looks_sealed = value.starts_with(PREFIX);
            return if looks_sealed { [PREFIX, b":", value].concat().into() } else { value.into() };
        };
        let mut random = [0; SALT_BYTES + aead::NONCE_LEN];
        ring::rand::SystemRandom::new().fill(&mut random).expect("the system gives random numbers");
        let (salt, nonce) = random.split_at(SALT_BYTES);
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).expect("it has the length of one");
        let mut sealed = [PREFIX, key.name.as_bytes(), b":", &random].concat();
        let begins = sealed.len();
        sealed.reserve(value.len() + aead::MAX_TAG_LEN);
        sealed.extend_from_slice(value);
        let tag =
            key.of_value(salt).seal_in_place_separate_tag(nonce, aead::Aad::from(bound(place)), &mut sealed[begins..]);
        sealed.extend_from_slice(tag.expect("values are shorter than AES-GCM's limit of 64 GiB").as_ref());
        sealed.into()
    }

    /// The value of which this is kept at a place.
    pub fn open<'a>(&self, place: &[&str], kept: &'a [u8]) -> Result<Cow<'a, [u8]>, Sealed> {
        let Some(rest) = kept.strip_prefix(PREFIX) else { return Ok(kept.into()) };
        let end = rest.iter().take(file::MAX_NAME_BYTES + 1).position(|byte| *byte == b':').ok_or(Sealed::Damaged)?;
        let (name, rest) = (&rest[..end], &rest[end + 1..]);
        if name.is_empty() {
            return Ok(rest.into());
        }
        let name = std::str::from_utf8(name).map_err(|_| Sealed::Damaged)?;
        let (salt, rest) = rest.split_at_checked(SALT_BYTES).ok_or(Sealed::Damaged)?;
        let (nonce, rest) = rest.split_at_checked(aead::NONCE_LEN).ok_or(Sealed::Damaged)?;
        let key = self.keys.iter().find(|key| key.name == name).ok_or_else(|| Sealed::UnknownKey(name.to_owned()))?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).expect("it has the length of one");
        let mut value = rest.to_vec();
        let opened = key.of_value(salt).open_in_place(nonce, aead::Aad::from(bound(place)), &mut value);
        let length = opened.map_err(|_| Sealed::Wrong(name.to_owned()))?.len();
        value.truncate(length);
        Ok(value.into())
    }
}

impl Key {
    fn of_value(&self, salt: &[u8]) -> aead::LessSafeKey {
        let derived = hmac::sign(&self.secret, salt);
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, derived.as_ref()).expect("SHA-256 gives 32 bytes");
        aead::LessSafeKey::new(key)
    }
}

/// The parts of a place, so that no two places are the same bytes.
fn bound(place: &[&str]) -> Vec<u8> {
    place.iter().flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.bytes())).collect()
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.keys.iter().map(|key| key.name.as_str());
        f.debug_struct("EncryptionKeys").field("names", &names.collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{keys, line};

    #[test]
    fn what_was_sealed_opens_at_its_place_and_nowhere_else() {
        let keys = keys(&line("a", 1));
        for value in [&b""[..], b"secret", &[7; 100_000]] {
            let sealed = keys.seal(&["shop", "carts", "one"], value).into_owned();
            assert!(sealed.starts_with(b"sampan:enc:v1:a:") && sealed.len() <= value.len() + MAX_SEAL_BYTES);
            assert_eq!(keys.open(&["shop", "carts", "one"], &sealed).unwrap(), value);
            for place in [&["shop", "carts", "two"][..], &["shop", "cartso", "ne"], &["shop", "carts"], &[]] {
                assert_eq!(keys.open(place, &sealed), Err(Sealed::Wrong("a".to_owned())), "{place:?}");
            }
            assert_ne!(keys.seal(&["shop", "carts", "one"], value), sealed, "each is sealed anew");
        }
        assert!(!keys.seal(&[], b"secret").windows(6).any(|part| part == b"secret"));
    }

    #[test]
    fn a_value_that_was_changed_or_cut_does_not_open() {
        let keys = keys(&line("a", 1));
        let sealed = keys.seal(&["x"], b"secret").into_owned();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            // Of what is no sealed value any more, all is the value; so stores check what they hold as a whole, too.
            if at >= PREFIX.len() {
                assert!(keys.open(&["x"], &changed).is_err(), "byte {at}");
            }
            if at >= PREFIX.len() {
                assert!(keys.open(&["x"], &sealed[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn the_first_key_writes_and_all_read() {
        let (old, new) = (keys(&line("old", 1)), keys(&(line("new", 2) + &line("old", 1))));
        let before = old.seal(&["x"], b"1").into_owned();
        assert_eq!(new.open(&["x"], &before).unwrap(), b"1".as_slice());
        assert!(new.seal(&["x"], b"1").starts_with(b"sampan:enc:v1:new:"));
        assert_eq!(keys(&line("new", 2)).open(&["x"], &before), Err(Sealed::UnknownKey("old".to_owned())));
        assert_eq!(keys(&line("old", 9)).open(&["x"], &before), Err(Sealed::Wrong("old".to_owned())));
        let plain = keys(&("identity\n".to_owned() + &line("old", 1)));
        assert_eq!(plain.open(&["x"], &before).unwrap(), b"1".as_slice());
        assert_eq!(plain.seal(&["x"], b"1"), b"1".as_slice());
    }

    #[test]
    fn a_plain_value_is_read_as_it_is_also_if_it_looks_sealed() {
        let none = EncryptionKeys::default();
        for value in [&b"plain"[..], b"", b"sampan:enc:v1:a:x", b"sampan:enc:v1::"] {
            let kept = none.seal(&["x"], value).into_owned();
            assert_eq!(none.open(&["x"], &kept).unwrap(), value);
            assert_eq!(keys(&line("a", 1)).open(&["x"], &kept).unwrap(), value);
        }
    }
}
