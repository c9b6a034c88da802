//! Keeps the crate picture of ARCHITECTURE.md true: who may import whom, and which room holds which library.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What each room may import of the others. A room that is not here fails the test: add it to ARCHITECTURE.md too.
const MAY_IMPORT: [(&str, &[&str]); 14] = [
    ("sampan-api", &[]),
    ("sampan-private-files", &[]),
    ("sampan-registry-client", &["sampan-api", "sampan-private-files"]),
    ("sampan-runtime", &["sampan-api", "sampan-private-files", "sampan-registry-client"]),
    ("sampan-scheduler", &["sampan-api"]),
    ("sampan-store", &["sampan-api", "sampan-private-files"]),
    ("sampan-key-value", &["sampan-api", "sampan-registry-client", "sampan-store"]),
    ("sampan-http-server", &["sampan-api", "sampan-private-files"]),
    ("sampan-registry-server", &["sampan-registry-client", "sampan-http-server"]),
    (
        "sampan-kube-api",
        &["sampan-api", "sampan-private-files", "sampan-registry-client", "sampan-store", "sampan-http-server"],
    ),
    (
        "sampan-control-plane",
        &[
            "sampan-api",
            "sampan-private-files",
            "sampan-registry-client",
            "sampan-scheduler",
            "sampan-store",
            "sampan-key-value",
            "sampan-http-server",
            "sampan-registry-server",
            "sampan-kube-api",
        ],
    ),
    ("sampan-gateway", &["sampan-api"]),
    ("sampan-transport", &["sampan-api", "sampan-private-files"]),
    (
        "sampan",
        &[
            "sampan-api",
            "sampan-private-files",
            "sampan-registry-client",
            "sampan-runtime",
            "sampan-store",
            "sampan-key-value",
            "sampan-http-server",
            "sampan-kube-api",
            "sampan-control-plane",
            "sampan-gateway",
            "sampan-transport",
        ],
    ),
];

/// Libraries that have one room, or few: a name, or the beginning of names before `*`.
const BELONGS_TO: [(&str, &[&str]); 13] = [
    ("wasmtime*", &["sampan-runtime"]),
    ("wasmparser", &["sampan-registry-client"]),
    ("oci-client", &["sampan-registry-client"]),
    ("redb", &["sampan-store", "sampan-key-value"]),
    ("redis", &["sampan-key-value"]),
    ("axum", &["sampan-http-server", "sampan-registry-server", "sampan-kube-api", "sampan-control-plane"]),
    ("tonic*", &["sampan-transport"]),
    ("landlock", &["sampan-runtime"]),
    ("seccompiler", &["sampan-runtime"]),
    ("k8s-openapi", &["sampan-kube-api", "sampan-control-plane", "sampan"]),
    ("kube*", &["sampan"]),
    ("clap*", &["sampan"]),
    ("plotters", &["sampan"]),
];

/// The scheduler is pure: nothing that runs tasks, does I/O, or reads a clock or chance of its own.
const NOT_IN_THE_SCHEDULER: [&str; 9] =
    ["tokio", "tokio-util", "futures", "hyper", "redb", "jiff", "getrandom", "tracing-subscriber", "reqwest"];

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo knows the workspace")
}

fn imports(package: &Package) -> BTreeSet<&str> {
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.as_str()).collect()
}

#[test]
fn rooms_import_only_what_the_architecture_lets_them() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    let metadata = metadata();
    let rooms: BTreeSet<&str> = metadata.workspace_packages().iter().map(|package| package.name.as_str()).collect();
    assert_eq!(rooms, allowed.keys().copied().collect(), "the rooms are those of ARCHITECTURE.md");
    for package in metadata.workspace_packages() {
        let others: BTreeSet<&str> = imports(package).intersection(&rooms).copied().collect();
        let may: BTreeSet<&str> = allowed[package.name.as_str()].iter().copied().collect();
        let forbidden: Vec<_> = others.difference(&may).collect();
        assert!(forbidden.is_empty(), "{} must not import {forbidden:?}", package.name);
    }
}

#[test]
fn each_library_stays_in_its_room() {
    for package in metadata().workspace_packages() {
        for import in imports(package) {
            let owner = BELONGS_TO.iter().find(|(library, _)| match library.strip_suffix('*') {
                Some(beginning) => import.starts_with(beginning),
                None => import == *library,
            });
            if let Some((library, rooms)) = owner {
                assert!(rooms.contains(&package.name.as_str()), "{library} is for {rooms:?}, not for {}", package.name);
            }
        }
    }
}

#[test]
fn the_scheduler_is_pure() {
    let metadata = metadata();
    let scheduler = metadata.workspace_packages().into_iter().find(|package| package.name == "sampan-scheduler");
    let imports = imports(scheduler.expect("there is a scheduler"));
    let impure: Vec<_> = NOT_IN_THE_SCHEDULER.iter().filter(|library| imports.contains(**library)).collect();
    assert!(impure.is_empty(), "the scheduler must not import {impure:?}");
}

#[test]
fn the_architecture_page_names_every_room() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md")).expect("the page");
    for (room, _) in MAY_IMPORT.iter().filter(|(room, _)| *room != "sampan") {
        let folder = room.trim_start_matches("sampan-");
        assert!(page.contains(&format!("| `{folder}/` |")), "{folder}/ is missing in ARCHITECTURE.md");
    }
}
