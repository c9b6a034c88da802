//! What a registry asks for with its 401: the `WWW-Authenticate` header of RFC 9110, as far as registries use it.

use std::collections::BTreeMap;

/// How a registry wants to be convinced.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token from `realm`.
    Bearer {
        /// The URL of the token server.
        realm: String,
        /// What the token is for, in the token server's words.
        service: Option<String>,
    },
}

impl Challenge {
    /// Reads a header's value. `None`: it asks for something else.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        let mut parameters = parameters(rest);
        let realm = parameters.remove("realm").filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
        Some(Self::Bearer { realm, service: parameters.remove("service") })
    }
}

/// `key="value", key=value`: a quoted value may hold commas and escaped quotes.
fn parameters(mut text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    while let Some((key, rest)) = text.split_once('=') {
        let key = key.trim_matches([',', ' ']).to_ascii_lowercase();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => rest.split_once(',').map_or((rest.to_owned(), ""), |(value, rest)| (value.trim().to_owned(), rest)),
        };
        found.insert(key, value);
        text = rest;
    }
    found
}

/// The value up to the closing quote, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_server_of_a_registry_is_found() {
        let header = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="a,b""#;
        let service = Some("registry.example".to_owned());
        assert_eq!(
            Challenge::parse(header),
            Some(Challenge::Bearer { realm: "https://auth.example/token".to_owned(), service })
        );
        assert_eq!(Challenge::parse(r#"Basic realm="Registry Realm""#), Some(Challenge::Basic));
    }

    #[test]
    fn what_is_no_challenge_is_none() {
        for header in ["", "Negotiate", "Bearer", r#"Bearer service="x""#, "Bearer realm", "Digest realm=\"x\""] {
            assert_eq!(Challenge::parse(header), None, "{header}");
        }
        assert!(matches!(Challenge::parse(r#"Bearer realm="un\"closed"#), Some(Challenge::Bearer { .. })));
    }
}
