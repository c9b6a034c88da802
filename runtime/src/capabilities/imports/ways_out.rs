//! What to do about imports that are not offered, in the words of who built the component.

use registry_client::Language;

/// Families of interfaces that others offer: how their names begin, whose they are, and what does the same here.
const OF_OTHERS: &[(&str, &str, &str)] = &[
    ("fermyon:", "Spin's own interfaces", "`wasi:keyvalue`, `wasi:config` and `wasi:http` do the same here"),
    ("spin:", "Spin's own interfaces", "`wasi:keyvalue`, `wasi:config` and `wasi:http` do the same here"),
    ("wasmcloud:", "wasmCloud's own interfaces", "`wasi:keyvalue`, `wasi:config` and `wasi:http` do the same here"),
    ("fastly:", "Fastly's own interfaces", "`wasi:keyvalue`, `wasi:config` and `wasi:http` do the same here"),
];

/// The way out for imports that are not offered.
pub(super) fn of(unknown: &[String], language: Option<Language>) -> String {
    let mut said: Vec<String> = Vec::new();
    for import in unknown {
        let about = about(import);
        said.extend(about.filter(|about| !said.contains(about)));
    }
    // All of a draft are offered where the component is built again.
    if !unknown.iter().all(|import| is_draft(import)) {
        said.push(build_without(language).to_owned());
    }
    said.join("; ")
}

fn about(import: &str) -> Option<String> {
    if let Some((_, whose, instead)) = OF_OTHERS.iter().find(|(prefix, ..)| import.starts_with(prefix)) {
        return Some(format!("these are {whose}: {instead}"));
    }
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    if interface.starts_with("wasi:") && version.starts_with("0.3") {
        return Some("WASI 0.3 is not offered: build it for 0.2".to_owned());
    }
    if interface == "wasi:http/incoming-handler" {
        return Some("a service exports this interface: put what it calls into it, as with `wac plug`".to_owned());
    }
    let offered = || super::OFFERED.iter().chain(super::KEY_VALUE);
    let mut versions: Vec<&str> =
        offered().filter(|(name, _)| interface == *name).map(|(_, version)| *version).collect();
    versions.retain(|version| !version.is_empty());
    let of_package = |name: &&str| name.split('/').next() == interface.split('/').next();
    if versions.is_empty() && interface.starts_with("wasi:") {
        let mut names: Vec<&str> = offered().map(|(name, _)| *name).filter(of_package).collect();
        names.dedup();
        return (!names.is_empty()).then(|| format!("of its package, `{}` are offered", names.join("`, `")));
    }
    if is_draft(import) {
        return Some(format!(
            "{version} is a draft that came before WASI 0.2: build it again with a newer release of its toolchain, for 0.2.0 or later"
        ));
    }
    (!versions.is_empty()).then(|| format!("of `{interface}`, {} is offered", versions.join(" or ")))
}

/// Whether it is a draft of what is offered in a release, such as 0.2.0-rc-2023-12-05, of which components are still around.
fn is_draft(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else { return false };
    version.starts_with("0.2.0-") && super::OFFERED.contains(&(interface, "0.2"))
}

fn build_without(language: Option<Language>) -> &'static str {
    match language {
        Some(Language::JavaScript) => {
            "leave it out of the world that `jco componentize --wit WIT -n WORLD` is given, \
             and what the engine adds by itself with `-d FEATURE`, such as `-d http`"
        }
        Some(Language::Python) => {
            "leave it out of the world that `componentize-py -d WIT -w WORLD componentize` is given"
        }
        Some(Language::Go) => {
            "leave it out of the world that the bindings and `wasm-tools component embed --world WORLD` are given"
        }
        Some(Language::Rust) => {
            "leave out the crate that imports it, or the import in the world given to `wit_bindgen::generate!`"
        }
        None => "leave it out of the world that the component is built for",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way_out(imports: &[&str], language: Option<Language>) -> String {
        of(&imports.iter().map(|&import| import.to_owned()).collect::<Vec<_>>(), language)
    }

    #[test]
    fn each_language_is_told_of_its_own_tool() {
        let way = |language| way_out(&["acme:db/sql@1.0.0"], Some(language));
        assert!(way(Language::JavaScript).contains("jco componentize --wit"));
        assert!(way(Language::Python).contains("componentize-py -d WIT -w WORLD"));
        assert!(way(Language::Go).contains("wasm-tools component embed"));
        assert!(way(Language::Rust).contains("wit_bindgen"));
    }

    #[test]
    fn interfaces_of_others_and_of_other_versions_are_known() {
        let spin = way_out(&["fermyon:spin/key-value@2.0.0", "spin:postgres/postgres@3.0.0"], None);
        assert!(spin.contains("Spin") && spin.matches("Spin").count() == 1, "{spin}");
        assert!(way_out(&["wasmcloud:messaging/consumer@0.2.0"], None).contains("wasmCloud"));
        let old = way_out(&["wasi:keyvalue/store@0.1.0"], None);
        assert!(old.contains("0.2.0-draft2 or 0.2.0-draft is offered"), "{old}");
        assert!(way_out(&["wasi:clocks/types@0.3.0"], None).contains("WASI 0.3"));
        let watcher = way_out(&["wasi:keyvalue/watcher@0.2.0-draft2"], None);
        assert!(
            watcher.contains("`wasi:keyvalue/atomics`, `wasi:keyvalue/batch`, `wasi:keyvalue/store` are"),
            "{watcher}"
        );
        assert!(way_out(&["wasi:http/incoming-handler@0.2.0"], None).contains("wac plug"));
    }

    #[test]
    fn a_component_for_a_draft_of_what_is_offered_is_to_be_built_again() {
        let imports = ["wasi:http/types@0.2.0-rc-2023-12-05", "wasi:io/streams@0.2.0-rc-2023-12-05"];
        let draft = way_out(&imports, Some(Language::Rust));
        assert_eq!(draft.matches("0.2.0-rc-2023-12-05 is a draft").count(), 1, "{draft}");
        assert!(draft.contains("newer release") && !draft.contains("leave out"), "{draft}");
        let mixed = way_out(&[imports[0], "acme:db/sql@1.0.0"], Some(Language::Rust));
        assert!(mixed.contains("is a draft") && mixed.contains("leave out"), "{mixed}");
    }
}
