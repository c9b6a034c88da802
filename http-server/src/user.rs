use std::sync::Arc;

use http::HeaderMap;

/// Who may do everything, whatever roles there are.
pub const MASTERS: &str = "system:masters";
/// Who shows something that is known.
pub const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What it is called.
    pub name: String,
    /// What tells it from another of the same name, at another time; empty if nothing does.
    pub uid: String,
    /// What it belongs to.
    pub groups: Vec<String>,
}

impl User {
    /// One that has shown who it is.
    pub fn authenticated(name: impl Into<String>, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().map(Into::into).collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { name: name.into(), uid: String::new(), groups }
    }

    /// Whoever has the token that is in the data directory.
    pub fn admin() -> Self {
        Self::authenticated("sampan:admin", [MASTERS])
    }

    /// Who shows nothing that is known.
    pub fn anonymous() -> Self {
        Self { name: "system:anonymous".to_owned(), uid: String::new(), groups: vec![UNAUTHENTICATED.to_owned()] }
    }

    /// Whether it is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|of| of == group)
    }
}

/// In the extensions of a response: as whom somebody asked who may do so.
#[derive(Debug, Clone)]
pub struct Impersonated(pub Arc<User>);

/// What a request shows as a bearer's token.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, shown) = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
}
