use std::{io, path::Path};

use axum::response::Response;
use http::Extensions;
use sha2::{Digest, Sha256};

use crate::{audit::NotNoted, peer::Peer, seats::Full};

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// A bearer token that is kept in a file of the data directory.
#[derive(Clone)]
pub struct Token {
    text: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Reads the token kept in a file (mode 0600), or makes one and keeps it there.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().len() == TOKEN_BYTES * 2 => Ok(Self { text: text.trim().to_owned() }),
            Ok(_) => Self::create(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(error),
        }
    }

    /// One that nobody has had before.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { text: hex::encode(bytes) })
    }

    fn create(path: &Path) -> io::Result<Self> {
        let token = Self::random()?;
        private_files::write(path, token.text.as_bytes())?;
        Ok(token)
    }

    /// As clients send it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Compares digests, so that the time it takes tells nothing of the token. What is not as long as one, as all are, costs nothing.
    pub fn is(&self, shown: &str) -> bool {
        if shown.len() != self.text.len() {
            return false;
        }
        let (right, shown) = (Sha256::digest(&self.text), Sha256::digest(shown));
        right.iter().zip(shown).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

/// An answer that the audit log does not note, since there are many of its kind.
pub fn not_noted(mut response: Response) -> Response {
    response.extensions_mut().insert(NotNoted);
    response
}

/// Whether a request that shows a token is answered.
pub enum Access {
    /// It is: the token is right.
    Given,
    /// The token is wrong.
    Refused,
    /// There are too many such requests.
    Later(String),
}

impl Access {
    /// Of a request that shows a token, right or wrong. Its client is no stranger any more if it is right; what is wrong is counted.
    pub fn of(request: &Extensions, right: bool) -> Self {
        let Some(peer) = request.get::<Peer>() else {
            return if right { Self::Given } else { Self::Refused };
        };
        if right {
            return match peer.recognise() {
                Ok(()) => Self::Given,
                Err(Full) => Self::Later("too many clients are connected: close some connections".to_owned()),
            };
        }
        let verdict = peer.failed();
        if let Some(count) = verdict.tell {
            tracing::warn!(last = %peer.ip(), count, "requests showed a wrong token");
        }
        match verdict.too_many {
            true => Self::Later(format!("too many wrong tokens come from {}: wait a moment", peer.ip())),
            false => Self::Refused,
        }
    }
}
