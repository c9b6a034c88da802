use std::{io, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, Method, header};

use super::error::RegistryError;
use crate::api_server::Token;

/// What the owner of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything: the token of the Kubernetes API.
    Admin,
    /// Pull and push.
    Push,
    /// Pull.
    Pull,
}

/// The tokens, each with its role.
#[derive(Debug)]
pub(crate) struct Tokens(Vec<(Token, Role)>);

impl Tokens {
    /// The API's token, and two further ones beside its file: `push-token` and `pull-token`.
    pub(crate) fn load_or_create(dir: &Path, admin: Token) -> io::Result<Self> {
        let push = Token::load_or_create(&dir.join("push-token"))?;
        let pull = Token::load_or_create(&dir.join("pull-token"))?;
        Ok(Self(vec![(admin, Role::Admin), (push, Role::Push), (pull, Role::Pull)]))
    }

    /// The role of who shows a token: as a bearer's, or as Docker's clients do, as a password.
    pub(super) fn role(&self, headers: &HeaderMap) -> Option<Role> {
        let (scheme, shown) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let token = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => shown.trim().to_owned(),
            "basic" => {
                let decoded = String::from_utf8(BASE64_STANDARD.decode(shown.trim()).ok()?).ok()?;
                decoded.split_once(':')?.1.to_owned()
            }
            _ => return None,
        };
        // All are compared, so that the time it takes tells nothing.
        let fits: Vec<_> = self.0.iter().filter(|(known, _)| known.is(&token)).collect();
        fits.first().map(|(_, role)| *role)
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Role)> {
        self.0.iter().map(|(token, role)| (token.as_str(), *role))
    }
}

impl Role {
    /// Whether a method is within the role.
    pub(super) fn check(self, method: &Method) -> Result<(), RegistryError> {
        let allowed = match *method {
            Method::GET | Method::HEAD => true,
            Method::DELETE => self == Self::Admin,
            _ => self != Self::Pull,
        };
        if allowed {
            return Ok(());
        }
        let may = if self == Self::Pull { "pull" } else { "pull and push" };
        Err(RegistryError::Denied(format!("this token is for those who may {may}")))
    }
}
