use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256, Sha512};

/// A digest in one of the two registered algorithms, `sha256` and `sha512`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentDigest(String);

impl ContentDigest {
    /// `sha256` or `sha512`.
    pub fn algorithm(&self) -> &str {
        &self.0[..6]
    }

    /// The hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.0[7..]
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `sha256` digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Hasher::Sha256(Sha256::new_with_prefix(bytes)).finish()
    }

    /// Whether these bytes have this digest.
    pub fn fits(&self, bytes: &[u8]) -> bool {
        let mut hasher = Hasher::like(self);
        hasher.update(bytes);
        hasher.finish() == *self
    }

    /// As a file's name.
    pub(super) fn file_name(&self) -> String {
        self.0.replacen(':', "-", 1)
    }

    pub(super) fn of_file_name(name: &str) -> Option<Self> {
        name.replacen('-', ":", 1).parse().ok()
    }
}

impl FromStr for ContentDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = match text.split_once(':') {
            Some(("sha256", hex)) => (hex, 64),
            Some(("sha512", hex)) => (hex, 128),
            _ => return Err("is no digest: it is written sha256:HEX or sha512:HEX".to_owned()),
        };
        let (hex, count) = digits;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hex.len() != count || !hex.bytes().all(is_hex) {
            return Err(format!("is no digest: it has {count} lower-case hexadecimal digits"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl From<&api::Digest> for ContentDigest {
    fn from(digest: &api::Digest) -> Self {
        Self(digest.to_string())
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks bytes against a digest, piece by piece.
#[derive(Debug, Clone)]
pub struct Verifier {
    wanted: ContentDigest,
    hasher: Hasher,
}

impl Verifier {
    /// Checks against this digest.
    pub fn of(wanted: &ContentDigest) -> Self {
        Self { wanted: wanted.clone(), hasher: Hasher::like(wanted) }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Whether all bytes until now are those of the digest.
    pub fn fits(&self) -> bool {
        self.hasher.clone().finish() == self.wanted
    }
}

/// Computes a digest piece by piece.
#[derive(Debug, Clone)]
pub(super) enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Hasher {
    pub(super) fn like(digest: &ContentDigest) -> Self {
        match digest.algorithm() {
            "sha512" => Self::Sha512(Box::default()),
            _ => Self::Sha256(Sha256::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn finish(self) -> ContentDigest {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        ContentDigest(match self {
            Self::Sha256(hasher) => format!("sha256:{}", hex(&hasher.finalize())),
            Self::Sha512(hasher) => format!("sha512:{}", hex(&hasher.finalize())),
        })
    }
}
