//! Every dependency has a licence that `deny.toml` allows, comes from crates.io, and is a version
//! without an advisory that `advisories.toml` knows. Works without a network.

use std::{collections::BTreeMap, process::Command};

use cargo_metadata::{Metadata, MetadataCommand, Package, semver::VersionReq};
use serde::Deserialize;

fn metadata() -> Metadata {
    // What only other platforms need is not downloaded, and so cannot be asked offline.
    let platform = ["--filter-platform".to_owned(), host()];
    let options = ["--locked".to_owned(), "--offline".to_owned()].into_iter().chain(platform).collect::<Vec<_>>();
    MetadataCommand::new().other_options(options).exec().expect("cargo metadata")
}

/// The platform of this machine, as rustc names it.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

fn policy<T: for<'a> Deserialize<'a>>(file: &str) -> T {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    toml::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

fn foreign(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    metadata.packages.iter().filter(|package| package.source.is_some())
}

#[test]
fn every_licence_is_allowed() {
    #[derive(Deserialize)]
    struct Deny {
        licenses: Licenses,
    }
    #[derive(Deserialize)]
    struct Licenses {
        allow: Vec<String>,
    }
    let allowed: Vec<spdx::Licensee> =
        policy::<Deny>("deny.toml").licenses.allow.iter().map(|text| text.parse().expect(text)).collect();
    let metadata = metadata();
    let refused: Vec<_> = foreign(&metadata)
        .filter(|package| {
            let text = package.license.as_deref().unwrap_or_default();
            let expression = spdx::Expression::parse_mode(text, spdx::ParseMode::LAX);
            !expression.is_ok_and(|e| e.evaluate(|wanted| allowed.iter().any(|licence| licence.satisfies(wanted))))
        })
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.license))
        .collect();
    assert!(refused.is_empty(), "licences that deny.toml does not allow: {refused:#?}");
}

#[test]
fn every_dependency_comes_from_crates_io() {
    let metadata = metadata();
    let others: Vec<_> = foreign(&metadata)
        .filter(|package| !package.source.as_ref().is_some_and(cargo_metadata::Source::is_crates_io))
        .map(|package| package.name.to_string())
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn no_dependency_has_a_known_advisory() {
    #[derive(Deserialize)]
    struct Advisories {
        safe: BTreeMap<String, Vec<VersionReq>>,
    }
    let safe = policy::<Advisories>("advisories.toml").safe;
    let metadata = metadata();
    let affected: Vec<_> = foreign(&metadata)
        .filter(|package| {
            let safe = safe.get(package.name.as_str());
            safe.is_some_and(|requirements| !requirements.iter().any(|r| r.matches(&package.version)))
        })
        .map(|package| format!("{} {}", package.name, package.version))
        .collect();
    assert!(affected.is_empty(), "versions with a known advisory: {affected:#?}");
}
