use std::{
    fs, io,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;

use super::{EncryptionKeys, Key};

/// Keys in one file.
pub const MAX_KEYS: usize = 32;
/// The longest name of a key.
pub(super) const MAX_NAME_BYTES: usize = 63;
const KEY_BYTES: usize = 32;
const MAX_FILE_BYTES: u64 = 64 << 10;
/// A line of its own: values are written as they are, if it is the first.
const IDENTITY: &str = "identity";

/// The file of keys cannot be used. Says which, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct InvalidKeys {
    path: PathBuf,
    why: String,
}

impl EncryptionKeys {
    /// Reads a file of keys, which only its owner may read. Each line is a name and 32 bytes in Base64, or `identity`; what
    /// follows a `#` is for people.
    ///
    /// # Errors
    ///
    /// Where the file is not there, open to others, or not of this form.
    pub fn read(path: &Path) -> Result<Self, InvalidKeys> {
        let invalid = |why: String| InvalidKeys { path: path.to_owned(), why };
        let unread = |error: io::Error| invalid(error.to_string());
        let file = fs::File::open(path).map_err(unread)?;
        let metadata = file.metadata().map_err(unread)?;
        if !metadata.is_file() {
            return Err(invalid("is no file".to_owned()));
        }
        if metadata.mode() & 0o077 != 0 {
            let command = format!("chmod 600 {}", path.display());
            return Err(invalid(format!(
                "holds keys, and others than its owner can read or write it: run `{command}`"
            )));
        }
        let mut text = String::new();
        file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unread)?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(invalid(format!("is longer than {MAX_FILE_BYTES} bytes")));
        }
        Self::parse(&text).map_err(invalid)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut keys, mut writes_plain, mut first) = (Vec::<Key>::new(), false, true);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if line == IDENTITY {
                writes_plain |= std::mem::take(&mut first);
                continue;
            }
            first = false;
            let key = key(line).map_err(|why| format!("line {number} {why}"))?;
            if keys.iter().any(|other| other.name == key.name) {
                return Err(format!("line {number} has the name `{}` again: each key has its own", key.name));
            }
            keys.push(key);
        }
        match keys.len() {
            0 => Err("has no key: write a line such as `NAME BASE64`, as \
                 `echo \"key-1 $(head -c 32 /dev/urandom | base64)\"` prints one"
                .to_owned()),
            count if count > MAX_KEYS => Err(format!("has more than {MAX_KEYS} keys")),
            _ => Ok(Self { keys: Arc::from(keys), writes_plain }),
        }
    }
}

/// Says nothing of the line's own text, which may be a key.
fn key(line: &str) -> Result<Key, String> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(encoded), None) = (words.next(), words.next(), words.next()) else {
        return Err("is not `NAME BASE64`".to_owned());
    };
    let is_name = name.len() <= MAX_NAME_BYTES
        && name != IDENTITY
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_name {
        return Err(format!("has no name of at most {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.`"));
    }
    let bytes = STANDARD.decode(encoded).map_err(|_| "has a key that is not Base64".to_owned())?;
    if bytes.len() != KEY_BYTES {
        return Err(format!("has a key of {} bytes: it must have {KEY_BYTES}", bytes.len()));
    }
    Ok(Key { name: name.to_owned(), secret: hmac::Key::new(hmac::HMAC_SHA256, &bytes) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_by_its_line_without_its_text() {
        let good = format!("a {}", STANDARD.encode([1; 32]));
        for (text, says) in [
            (String::new(), "no key"),
            ("identity".to_owned(), "no key"),
            ("# none\n\nc2VjcmV0".to_owned(), "line 3 is not"),
            ("a c2VjcmV0".to_owned(), "line 1 has a key of 6 bytes"),
            ("a s:e:c".to_owned(), "not Base64"),
            ("a:b c2VjcmV0".to_owned(), "no name"),
            (format!("{good}\n{good}"), "line 2 has the name `a` again"),
        ] {
            let why = EncryptionKeys::parse(&text).unwrap_err();
            assert!(why.contains(says) && !why.contains("c2VjcmV0"), "{text}: {why}");
        }
        EncryptionKeys::parse(&format!("# of 2026\n{good} # the first\nidentity\n")).unwrap();
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, format!("a {}\n", STANDARD.encode([1; 32]))).unwrap();
        for (mode, fits) in [(0o644, false), (0o640, false), (0o600, true), (0o400, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = EncryptionKeys::read(&path).map_err(|why| why.to_string());
            assert_eq!(read.is_ok(), fits, "{mode:o}");
            assert!(read.err().is_none_or(|why| why.contains(&format!("chmod 600 {}", path.display()))));
        }
        assert!(EncryptionKeys::read(folder.path()).is_err());
    }
}
