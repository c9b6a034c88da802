use crate::error::StartError;

/// Interfaces that every guest may import, with the version that is offered. `0.2` is any 0.2.x.
const OFFERED: &[(&str, &str)] = &[
    ("wasi:cli/", "0.2"),
    ("wasi:clocks/", "0.2"),
    ("wasi:config/store", "0.2.0-rc.1"),
    ("wasi:filesystem/", "0.2"),
    ("wasi:http/outgoing-handler", "0.2"),
    ("wasi:http/types", "0.2"),
    ("wasi:io/", "0.2"),
    ("wasi:logging/logging", "0.1.0-draft"),
    ("wasi:random/", "0.2"),
    ("wasi:sockets/", "0.2"),
];

/// Interfaces that a guest may import if a store is granted to it.
const KEY_VALUE: &[(&str, &str)] = &[("wasi:keyvalue/", "0.2.0-draft2"), ("wasi:keyvalue/", "0.2.0-draft")];

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
    let Some((interface, imported)) = import.split_once('@') else { return false };
    let named = if name.ends_with('/') { interface.starts_with(name) } else { interface == *name };
    // Prereleases match exactly; releases of 0.2 are compatible with each other.
    let versioned = match *version {
        "0.2" => imported.starts_with("0.2.") && !imported.contains('-'),
        exact => imported == exact,
    };
    named && versioned
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
    fn versions_that_are_not_offered_are_unknown() {
        for import in [
            "wasi:http/types@0.3.0",
            "wasi:config/store@0.2.0-draft",
            "wasi:keyvalue/store@0.3.0",
            "wasi:io/poll@0.2.0-rc",
        ] {
            assert!(check(&[import], Granted::Something).is_err(), "{import}");
        }
    }
}
