//! What a token allows, in the words of Docker's token specification: `repository:NAME:pull,push`, with spaces between
//! several.

use std::fmt;

/// Resources, each with what may be done there. They keep the order and the words of whoever named them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scopes(Vec<Scope>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Scope {
    /// Its type and name. A name may have colons: that of a host.
    resource: String,
    /// What may be done. None: the whole text is not of this form, and is kept as it is.
    actions: Vec<String>,
}

impl Scopes {
    /// Reads any text: what is not of the usual form is kept as it is.
    pub(super) fn read(text: &str) -> Self {
        let scope = |text: &str| match text.rsplit_once(':') {
            Some((resource, actions)) if resource.contains(':') => {
                Scope { resource: resource.to_owned(), actions: actions.split(',').map(str::to_owned).collect() }
            }
            _ => Scope { resource: text.to_owned(), actions: Vec::new() },
        };
        Self(text.split_ascii_whitespace().map(scope).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each as it is written.
    pub(super) fn each(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }

    /// These, and those of `others`.
    pub(super) fn with(mut self, others: &Self) -> Self {
        for other in &others.0 {
            match self.0.iter_mut().find(|scope| scope.resource == other.resource) {
                Some(scope) => scope.add(&other.actions),
                None => self.0.push(other.clone()),
            }
        }
        self
    }

    /// These, with what is done at the same resources by `others`.
    pub(super) fn with_actions_of(mut self, others: &Self) -> Self {
        for scope in &mut self.0 {
            if let Some(other) = others.0.iter().find(|other| other.resource == scope.resource) {
                scope.add(&other.actions);
            }
        }
        self
    }
}

impl Scope {
    fn add(&mut self, actions: &[String]) {
        for action in actions {
            if !self.actions.iter().any(|known| known == action || known == "*") {
                self.actions.push(action.clone());
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource)?;
        if self.actions.is_empty() { Ok(()) } else { write!(f, ":{}", self.actions.join(",")) }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.each().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_kept_in_the_words_of_who_named_them() {
        for text in ["repository:a/b:pull", "repository:host:5000/a:push,pull", "registry:catalog:* x", "odd", "a:b"] {
            assert_eq!(Scopes::read(text).to_string(), text);
        }
    }

    #[test]
    fn scopes_are_joined_by_their_resource() {
        let read = Scopes::read;
        let joined = read("repository:a:pull").with(&read("repository:b:pull repository:a:push,pull"));
        assert_eq!(joined.to_string(), "repository:a:pull,push repository:b:pull");
        assert_eq!(read("repository:a:*").with(&read("repository:a:pull")).to_string(), "repository:a:*");
        let own = read("repository:a:pull,push");
        assert_eq!(read("repository:a:pull x").with_actions_of(&own).to_string(), "repository:a:pull,push x");
        assert_eq!(read("repository:other:pull").with_actions_of(&own).to_string(), "repository:other:pull");
    }
}
