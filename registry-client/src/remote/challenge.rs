//! What a registry asks for with its 401: the `WWW-Authenticate` headers of RFC 9110 (section 11.6.1), as far as
//! registries use them. Values that should be quoted and are not are read all the same.

use std::collections::BTreeMap;

use reqwest::header::{self, HeaderMap};

use super::scope::Scopes;

/// Ways that a registry names at a time; further ones are not tried.
const MAX_CHALLENGES: usize = 8;
/// The longest realm, which is a URL, and the longest name of a service.
const MAX_REALM_BYTES: usize = 2048;

/// How a registry wants to be convinced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token.
    Bearer(Bearer),
}

/// Which token, and where it is had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bearer {
    /// The URL of the token server.
    pub(super) realm: String,
    /// What the token is for, in the token server's words.
    pub(super) service: Option<String>,
    /// What it must allow; empty if the registry does not say.
    pub(super) scopes: Scopes,
    /// Whether the token that was shown is good, but not for this (RFC 6750, section 3.1).
    pub(super) is_insufficient: bool,
}

impl Challenge {
    /// All that a registry would take, in its order: one header may have several, and there may be several headers.
    pub(super) fn all(headers: &HeaderMap) -> Vec<Self> {
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(Self::read).take(MAX_CHALLENGES).collect()
    }

    /// Reads one header's value. What asks for something else is left out.
    fn read(value: &str) -> Vec<Self> {
        let mut said: Vec<(&str, BTreeMap<String, String>)> = Vec::new();
        let mut rest = value;
        loop {
            rest = rest.trim_start_matches([',', ' ', '\t']);
            if rest.is_empty() {
                break;
            }
            let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            match after.trim_start().strip_prefix('=') {
                Some(after) => {
                    let (value, after) = value_of(after.trim_start());
                    if let Some((_, parameters)) = said.last_mut() {
                        parameters.entry(word.to_ascii_lowercase()).or_insert(value);
                    }
                    rest = after;
                }
                None => {
                    said.push((word, BTreeMap::new()));
                    rest = after;
                }
            }
        }
        said.into_iter().filter_map(|(scheme, parameters)| Self::of(scheme, parameters)).collect()
    }

    fn of(scheme: &str, mut parameters: BTreeMap<String, String>) -> Option<Self> {
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        let realm = parameters.remove("realm").filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
        let is_long = |text: &String| text.len() > MAX_REALM_BYTES;
        if is_long(&realm) || parameters.get("service").is_some_and(is_long) {
            return None;
        }
        let scopes = parameters.remove("scope").map(|text| Scopes::read(&text)).unwrap_or_default();
        let is_insufficient = parameters.remove("error").is_some_and(|error| error == "insufficient_scope");
        Some(Self::Bearer(Bearer { realm, service: parameters.remove("service"), scopes, is_insufficient }))
    }
}

/// A value and what follows it. A quoted one may hold commas and escaped quotes.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
        return (value.trim_end().to_owned(), rest);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: &str) -> Challenge {
        let (realm, service, scopes) = (realm.to_owned(), service.map(str::to_owned), Scopes::read(scope));
        Challenge::Bearer(Bearer { realm, service, scopes, is_insufficient: false })
    }

    #[test]
    fn the_token_server_and_the_scopes_are_found_as_the_registry_says_them() {
        let header = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a:pull,push repository:b:pull""#;
        let wanted = "repository:a:pull,push repository:b:pull";
        assert_eq!(Challenge::read(header), [bearer("https://auth.example/token", Some("registry.example"), wanted)]);
        assert_eq!(Challenge::read(r#"Basic realm="Registry Realm""#), [Challenge::Basic]);
        assert_eq!(Challenge::read("bearer Realm=https://a/t , SERVICE=x"), [bearer("https://a/t", Some("x"), "")]);
    }

    #[test]
    fn one_header_may_have_several_challenges_and_there_may_be_several_headers() {
        let token = bearer("https://a/t", None, "repository:x:pull,push");
        for (header, found) in [
            (r#"Basic realm="a, b", Bearer realm="https://a/t", scope="repository:x:pull,push""#, 2),
            (r#"Negotiate, basic realm="a, Bearer b",BEARER realm = "https://a/t",scope="repository:x:pull,push""#, 2),
            (r#"Bearer realm="https://a/t",scope="repository:x:pull,push", Digest realm="x", nonce="a==""#, 1),
        ] {
            let read = Challenge::read(header);
            assert!(read.contains(&token) && read.len() == found, "{header}: {read:?}");
        }
        let mut headers = HeaderMap::new();
        for value in ["Basic", r#"Bearer realm="https://a/t",scope="repository:x:pull,push""#] {
            headers.append(header::WWW_AUTHENTICATE, value.parse().unwrap());
        }
        assert_eq!(Challenge::all(&headers), [Challenge::Basic, token]);
    }

    #[test]
    fn a_token_that_is_good_for_less_is_told_from_a_bad_one() {
        let header = r#"Bearer realm="https://a/t",scope="x",error="insufficient_scope""#;
        assert!(matches!(&Challenge::read(header)[..], [Challenge::Bearer(bearer)] if bearer.is_insufficient));
        let header = r#"Bearer realm="https://a/t",scope="x",error="invalid_token""#;
        assert!(matches!(&Challenge::read(header)[..], [Challenge::Bearer(bearer)] if !bearer.is_insufficient));
    }

    #[test]
    fn what_is_no_challenge_is_none() {
        for header in ["", "Negotiate", "Bearer", r#"Bearer service="x""#, "Bearer realm", "Digest realm=\"x\"", "=,="]
        {
            assert_eq!(Challenge::read(header), [], "{header}");
        }
        assert!(matches!(&Challenge::read(r#"Bearer realm="un\"closed"#)[..], [Challenge::Bearer(_)]));
    }
}
