use std::{io, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, Method, header};
use http_server::{Token, User};

use super::error::RegistryError;

/// Who has a token for images alone.
const REGISTRY: &str = "sampan:registry";

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
pub struct Tokens(Vec<(Token, Role)>);

impl Tokens {
    /// The API's token, and two further ones beside its file: `push-token` and `pull-token`.
    pub fn load_or_create(dir: &Path, admin: Token) -> io::Result<Self> {
        let push = Token::load_or_create(&dir.join("push-token"))?;
        let pull = Token::load_or_create(&dir.join("pull-token"))?;
        Ok(Self(vec![(admin, Role::Admin), (push, Role::Push), (pull, Role::Pull)]))
    }

    /// Whose token a request shows, for the audit log.
    pub fn user(&self, headers: &HeaderMap) -> Option<User> {
        Some(match self.role(headers).role()? {
            Role::Admin => User::admin(),
            Role::Push => User::authenticated("sampan:push", [REGISTRY]),
            Role::Pull => User::authenticated("sampan:pull", [REGISTRY]),
        })
    }

    /// The role of who shows a token: as a bearer's, or as Docker's clients do, as a password.
    pub(super) fn role(&self, headers: &HeaderMap) -> Shown {
        let Some(token) = shown(headers) else { return Shown::Nothing };
        // All are compared, so that the time it takes tells nothing.
        let fits: Vec<_> = self.0.iter().filter(|(known, _)| known.is(&token)).collect();
        fits.first().map_or(Shown::Wrong, |(_, role)| Shown::Right(*role))
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Role)> {
        self.0.iter().map(|(token, role)| (token.as_str(), *role))
    }
}

/// What a request shows of who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    /// A token that is none of ours.
    Wrong,
    Right(Role),
}

impl Shown {
    /// The role, if it may be believed.
    pub(super) fn role(self) -> Option<Role> {
        match self {
            Self::Right(role) => Some(role),
            Self::Nothing | Self::Wrong => None,
        }
    }
}

/// A token as a bearer's, or as the password of any user.
fn shown(headers: &HeaderMap) -> Option<String> {
    let (scheme, shown) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(shown.trim().to_owned()),
        "basic" => {
            let decoded = String::from_utf8(BASE64_STANDARD.decode(shown.trim()).ok()?).ok()?;
            Some(decoded.split_once(':')?.1.to_owned())
        }
        _ => None,
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
