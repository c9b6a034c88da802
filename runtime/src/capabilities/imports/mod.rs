//! What guests may import, and what to do about the rest.

mod ways_out;

use registry_client::Language;

use crate::error::StartError;

/// Interfaces that every guest may import, with the version that is offered. `0.2` is any 0.2.x; none is none.
const OFFERED: &[(&str, &str)] = &[
    ("wasi:cli/environment", "0.2"),
    ("wasi:cli/exit", "0.2"),
    ("wasi:cli/stdin", "0.2"),
    ("wasi:cli/stdout", "0.2"),
    ("wasi:cli/stderr", "0.2"),
    ("wasi:cli/terminal-input", "0.2"),
    ("wasi:cli/terminal-output", "0.2"),
    ("wasi:cli/terminal-stdin", "0.2"),
    ("wasi:cli/terminal-stdout", "0.2"),
    ("wasi:cli/terminal-stderr", "0.2"),
    ("wasi:clocks/monotonic-clock", "0.2"),
    ("wasi:clocks/wall-clock", "0.2"),
    ("wasi:config/store", "0.2.0-rc.1"),
    ("wasi:config/store", "0.2.0-draft"),
    ("wasi:config/runtime", "0.2.0-draft"),
    ("wasi:config/runtime", "0.2.0-rc.1"),
    ("wasi:filesystem/preopens", "0.2"),
    ("wasi:filesystem/types", "0.2"),
    ("wasi:http/outgoing-handler", "0.2"),
    ("wasi:http/types", "0.2"),
    ("wasi:io/error", "0.2"),
    ("wasi:io/poll", "0.2"),
    ("wasi:io/streams", "0.2"),
    ("wasi:logging/logging", "0.1.0-draft"),
    ("wasi:logging/logging", ""),
    ("wasi:random/insecure", "0.2"),
    ("wasi:random/insecure-seed", "0.2"),
    ("wasi:random/random", "0.2"),
    ("wasi:sockets/instance-network", "0.2"),
    ("wasi:sockets/ip-name-lookup", "0.2"),
    ("wasi:sockets/network", "0.2"),
    ("wasi:sockets/tcp", "0.2"),
    ("wasi:sockets/tcp-create-socket", "0.2"),
    ("wasi:sockets/udp", "0.2"),
    ("wasi:sockets/udp-create-socket", "0.2"),
];

/// Interfaces that a guest may import if a store is granted to it.
const KEY_VALUE: &[(&str, &str)] = &[
    ("wasi:keyvalue/atomics", "0.2.0-draft2"),
    ("wasi:keyvalue/atomics", "0.2.0-draft"),
    ("wasi:keyvalue/batch", "0.2.0-draft2"),
    ("wasi:keyvalue/batch", "0.2.0-draft"),
    ("wasi:keyvalue/store", "0.2.0-draft2"),
    ("wasi:keyvalue/store", "0.2.0-draft"),
];

/// What a component imports and nobody here offers, with what to do about it in its language; `None`: nothing. What is offered
/// if it is granted is not among them.
pub fn refuse_imports(imports: &[String], language: Option<Language>) -> Option<String> {
    let unknown: Vec<String> = imports.iter().filter(|import| !is_offered(import)).cloned().collect();
    let quoted = format!("`{}`", unknown.join("`, `"));
    (!unknown.is_empty())
        .then(|| format!("{quoted}, which Sampan does not offer: {}", ways_out::of(&unknown, language)))
}

/// The annotations of a pod template that grant what these imports may need, each with what it names.
pub fn grants_for(imports: &[String]) -> Vec<(&'static str, &'static str)> {
    let stores = imports.iter().any(|import| KEY_VALUE.iter().any(|offer| matches(import, offer)));
    let hosts = imports.iter().any(|import| import.starts_with("wasi:http/outgoing-handler@"));
    let stores = stores.then_some((api::annotations::KEY_VALUE, "the stores that it opens, such as `default`"));
    let hosts = hosts.then_some((api::annotations::OUTBOUND, "the hosts and Services that it calls, if it calls any"));
    stores.into_iter().chain(hosts).collect()
}

fn is_offered(import: &str) -> bool {
    OFFERED.iter().chain(KEY_VALUE).any(|offer| matches(import, offer))
}

/// Checks what a component imports against what is offered, and against whether a store is granted.
pub(crate) fn check_imports(image: &str, imports: &[String], key_value_granted: Granted) -> Result<(), StartError> {
    let (key_value, others): (Vec<_>, Vec<_>) =
        imports.iter().cloned().partition(|import| KEY_VALUE.iter().any(|offer| matches(import, offer)));
    let unknown: Vec<_> =
        others.into_iter().filter(|import| !OFFERED.iter().any(|offer| matches(import, offer))).collect();
    let image = image.to_owned();
    if !unknown.is_empty() {
        return Err(StartError::UnknownImports { image, imports: unknown });
    }
    if !key_value.is_empty() && key_value_granted == Granted::Nothing {
        return Err(StartError::KeyValueNotGranted { image, imports: key_value });
    }
    Ok(())
}

/// Whether any store is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granted {
    Nothing,
    Something,
}

impl Granted {
    pub(crate) fn of(names: &[String]) -> Self {
        if names.is_empty() { Self::Nothing } else { Self::Something }
    }
}

fn matches(import: &str, (name, version): &(&str, &str)) -> bool {
    let (interface, imported) = import.split_once('@').unwrap_or((import, ""));
    // Prereleases match exactly; releases of 0.2 are compatible with each other.
    let versioned = match *version {
        "0.2" => imported.starts_with("0.2.") && !imported.contains('-'),
        exact => imported == exact,
    };
    interface == *name && versioned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(imports: &[&str], granted: Granted) -> Result<(), String> {
        let imports: Vec<_> = imports.iter().map(|&import| import.to_owned()).collect();
        check_imports("shop:1", &imports, granted).map_err(|error| error.to_string())
    }

    #[test]
    fn what_every_guest_may_import_needs_no_grant() {
        let imports = [
            "wasi:http/types@0.2.4",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:cli/stdout@0.2.12",
            "wasi:io/poll@0.2.3",
        ];
        assert_eq!(check(&imports, Granted::Nothing), Ok(()));
    }

    #[test]
    fn a_store_that_is_not_granted_is_refused_by_import_and_annotation() {
        let error = check(&["wasi:keyvalue/store@0.2.0-draft2"], Granted::Nothing).unwrap_err();
        assert!(error.contains("`wasi:keyvalue/store@0.2.0-draft2`"), "{error}");
        assert!(error.contains("sampan.dev/key-value"), "{error}");
        assert_eq!(check(&["wasi:keyvalue/store@0.2.0-draft2"], Granted::Something), Ok(()));
    }

    #[test]
    fn unknown_imports_are_all_named() {
        let error =
            check(&["acme:db/sql@1.0.0", "wasi:io/poll@0.2.0", "wasi:nn/graph"], Granted::Something).unwrap_err();
        assert!(error.contains("`acme:db/sql@1.0.0`, `wasi:nn/graph`"), "{error}");
        assert!(error.contains("does not offer"), "{error}");
    }

    #[test]
    fn drafts_whose_functions_are_the_same_are_offered() {
        for import in [
            "wasi:config/store@0.2.0-draft",
            "wasi:config/runtime@0.2.0-draft",
            "wasi:config/runtime@0.2.0-rc.1",
            "wasi:logging/logging",
        ] {
            assert_eq!(check(&[import], Granted::Nothing), Ok(()), "{import}");
        }
    }

    #[test]
    fn what_is_to_be_granted_is_told_by_annotation() {
        let imports = ["wasi:keyvalue/store@0.2.0-draft".to_owned(), "wasi:http/outgoing-handler@0.2.3".to_owned()];
        let grants: Vec<_> = grants_for(&imports).into_iter().map(|(annotation, _)| annotation).collect();
        assert_eq!(grants, [api::annotations::KEY_VALUE, api::annotations::OUTBOUND]);
        assert_eq!(refuse_imports(&imports, None), None);
    }

    #[test]
    fn versions_that_are_not_offered_are_unknown() {
        for import in [
            "wasi:http/types@0.3.0",
            "wasi:config/store@0.2.0-rc.2",
            "wasi:http/types@0.2.0-rc-2023-12-05",
            "wasi:keyvalue/store@0.3.0",
            "wasi:io/poll@0.2.0-rc",
            "wasi:clocks/timezone@0.2.12",
            "wasi:keyvalue/watcher@0.2.0-draft2",
            "wasi:cli/run@0.2.0",
        ] {
            assert!(check(&[import], Granted::Something).is_err(), "{import}");
        }
    }
}
