//! Which credentials of pull secrets are for an image, as Kubernetes finds them (`pkg/credentialprovider/keyring.go`).
//!
//! A key is `HOST[:PORT][/PATH]`, also behind `https://` or `http://`. Each part of the host between dots may be a
//! pattern with `*`, `?` and `[...]`, which stands for one part; the port is compared exactly; the path is what the
//! image's begins with, but for a leading `/v1/` or `/v2/`, which Docker writes after a host.

use crate::access::Credentials;

/// Keys with their credentials, those that are more specific first.
#[derive(Debug, Default)]
pub(crate) struct Keyring(Vec<(Key, Credentials)>);

#[derive(Debug, PartialEq, Eq)]
struct Key {
    host: String,
    /// With its leading slash, or empty.
    path: String,
}

impl Keyring {
    /// Of equal keys the first goes first.
    pub(crate) fn of<'a>(entries: impl IntoIterator<Item = (&'a str, Credentials)>) -> Self {
        let mut keys: Vec<_> = entries.into_iter().map(|(key, credentials)| (Key::read(key), credentials)).collect();
        // Backwards, so that a longer path goes before a shorter one, and a name before the pattern `*`.
        keys.sort_by_cached_key(|(key, _)| std::cmp::Reverse(format!("{}{}", key.host, key.path)));
        Self(keys)
    }

    /// All that may be tried for a repository at a host, in this order.
    pub(crate) fn find(&self, host: &str, repository: &str) -> Vec<Credentials> {
        let (host, path) = (canonical(host), format!("/{repository}"));
        let fits = |(key, _): &&(Key, Credentials)| key.fits(host, &path);
        self.0.iter().filter(fits).map(|(_, credentials)| credentials.clone()).collect()
    }
}

impl Key {
    fn read(text: &str) -> Self {
        let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        let (host, path) = bare.split_at(bare.find('/').unwrap_or(bare.len()));
        let is_version = path.starts_with("/v1/") || path.starts_with("/v2/");
        let path = if is_version { &path[3..] } else { path };
        // `HOST/v2` is meant as `HOST/v2/` is, and no repository is called so.
        let path = if matches!(path, "/" | "/v1" | "/v2") { "" } else { path };
        Self { host: canonical(host).to_owned(), path: path.to_owned() }
    }

    fn fits(&self, host: &str, path: &str) -> bool {
        let ((name, port), (own_name, own_port)) = (split_port(host), split_port(&self.host));
        let (parts, own_parts) = (name.split('.'), own_name.split('.'));
        let same_count = parts.clone().count() == own_parts.clone().count();
        let named =
            own_name == name || (same_count && own_parts.zip(parts).all(|(pattern, part)| matches(pattern, part)));
        own_port == port && path.starts_with(&self.path) && named
    }
}

/// Docker Hub has several names, of which its images have the first.
fn canonical(host: &str) -> &str {
    if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host }
}

/// An IPv6 address in brackets has colons of its own.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// Whether a whole part fits a pattern. It takes at most the product of their lengths, whatever the pattern.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    // After the last star, and what it stands for until now.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, read));
            continue;
        }
        if at == pattern.len() && read == text.len() {
            return true;
        }
        match text.get(read).and_then(|letter| one(&pattern[at..], *letter)) {
            Some(length) => (at, read) = (at + length, read + 1),
            None => match &mut star {
                Some((after, taken)) if *taken < text.len() => {
                    *taken += 1;
                    (at, read) = (*after, *taken);
                }
                _ => return false,
            },
        }
    }
}

/// How much of the pattern one letter fits: a letter, an escaped one, `?`, or a class such as `[a-z]` or `[^0-9]`.
fn one(pattern: &[char], letter: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == letter).then_some(2),
        ['[', class @ ..] => {
            let end = class.iter().skip(1).position(|letter| *letter == ']')? + 1;
            let (class, negated) = match &class[..end] {
                ['^', class @ ..] => (class, true),
                class => (class, false),
            };
            let mut within = false;
            let mut rest = class;
            while let Some((first, after)) = rest.split_first() {
                let (last, after) = match after {
                    ['-', last, after @ ..] => (last, after),
                    _ => (first, after),
                };
                within |= (*first..=*last).contains(&letter);
                rest = after;
            }
            (within != negated).then_some(end + 2)
        }
        [same, ..] => (*same == letter).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys that are found, by a name that is each one's own.
    fn found(keys: &[&str], host: &str, repository: &str) -> Vec<String> {
        let entries = keys.iter().map(|key| (*key, Credentials::Bearer((*key).to_owned())));
        let named = |credentials| match credentials {
            Credentials::Bearer(key) => key,
            other => panic!("{other:?}"),
        };
        Keyring::of(entries).find(host, repository).into_iter().map(named).collect()
    }

    #[test]
    fn a_pattern_stands_for_one_part_of_the_host_and_the_port_is_exact() {
        for (key, host, fits) in [
            ("*.registry.example", "eu.registry.example", true),
            ("*.registry.example", "registry.example", false),
            ("*.registry.example", "a.eu.registry.example", false),
            ("*.example", "eu.registry.example", false),
            ("eu.*.example", "eu.registry.example", true),
            ("e?.reg*try.e[w-y]ample", "eu.registry.example", true),
            ("[^e]u.registry.example", "eu.registry.example", false),
            ("*", "localhost", true),
            ("local*:5000", "localhost:5000", true),
            ("127.0.0.*:5000", "127.0.0.1:5000", true),
            ("127.0.0.*:5000", "127.0.0.1:5001", false),
            ("127.0.0.*", "127.0.0.1:5000", false),
            ("127.0.0.1:*", "127.0.0.1:5000", false),
            ("*.0.0.1:5000", "127.0.0.1:5000", true),
            ("[::1]:5000", "[::1]:5000", true),
            ("[", "a", false),
            ("registry.example", "registry.example.evil", false),
        ] {
            assert_eq!(!found(&[key], host, "team/app").is_empty(), fits, "{key} and {host}");
        }
    }

    #[test]
    fn a_scheme_is_left_away_and_so_is_the_version_of_dockers_own_keys() {
        for key in ["https://*.example", "http://a.example/", "https://a.example/v2/", "a.example/v1/", "a.example/v2"]
        {
            assert_eq!(found(&[key], "a.example", "team/app"), [key]);
        }
        assert_eq!(found(&["https://a.example/v2/team"], "a.example", "other/app"), [""; 0]);
        assert_eq!(found(&["https://a.example/v2/team"], "a.example", "team/app"), ["https://a.example/v2/team"]);
    }

    #[test]
    fn all_that_fit_are_found_the_most_specific_first() {
        let keys = ["*.example", "a.example", "*.example/team", "a.example/team/app", "a.example/team", "b.example"];
        let order = ["a.example/team/app", "a.example/team", "a.example", "*.example/team", "*.example"];
        assert_eq!(found(&keys, "a.example", "team/app"), order);
        assert_eq!(found(&keys, "a.example", "other/app"), ["a.example", "*.example"]);
    }

    #[test]
    fn docker_hub_has_several_names_and_its_key_is_for_its_images_alone() {
        let key = "https://index.docker.io/v1/";
        assert_eq!(found(&[key], "index.docker.io", "library/app"), [key]);
        assert_eq!(found(&["registry-1.docker.io"], "index.docker.io", "library/app"), ["registry-1.docker.io"]);
        assert_eq!(found(&[key, "docker.io/team"], "index.docker.io", "team/app"), ["docker.io/team", key]);
        assert_eq!(found(&[key], "ghcr.io", "library/app"), [""; 0]);
    }

    #[test]
    fn a_pattern_of_many_stars_is_quick() {
        assert!(!matches(&"*a".repeat(60), &"b".repeat(253)));
        assert!(matches(&"*a".repeat(60), &"ba".repeat(60)));
    }
}
