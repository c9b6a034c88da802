//! What tests of stores need: a disk that fills up, and keys to encrypt by.

use base64::{Engine, engine::general_purpose::STANDARD};

pub use crate::disk::faults::{Full, file_on};
use crate::encryption::EncryptionKeys;

/// The keys of a file with this text.
///
/// # Panics
///
/// Where it is no such file.
pub fn keys(text: &str) -> EncryptionKeys {
    EncryptionKeys::parse(text).expect("keys")
}

/// One key.
pub fn key(name: &str, byte: u8) -> EncryptionKeys {
    keys(&line(name, byte))
}

/// Its line in a file.
pub fn line(name: &str, byte: u8) -> String {
    format!("{name} {}\n", STANDARD.encode([byte; 32]))
}
