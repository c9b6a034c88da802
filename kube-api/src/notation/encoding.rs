//! From bytes to characters: UTF-8, or UTF-16 where a byte order mark says so, as YAML has it (YAML 1.2, section 5.2).

use std::borrow::Cow;

use super::Unreadable;

/// The characters of a text. A byte order mark of UTF-8 stays, and is left out by who reads documents.
pub fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    let wrong = |message: &str| Unreadable { message: message.to_owned(), line: None };
    let units: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| wrong("is not UTF-8")),
    };
    let (pairs, []) = bytes[2..].as_chunks::<2>() else {
        return Err(wrong("begins as UTF-16 and ends in the middle of a character"));
    };
    let text = char::decode_utf16(pairs.iter().map(|pair| units(*pair))).collect::<Result<String, _>>();
    text.map(Cow::Owned).map_err(|_| wrong("begins as UTF-16 and is not"))
}
