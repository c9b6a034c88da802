//! Adds flags of ours to the compiler's without taking any of the user's away.
//!
//! Cargo takes flags from one source alone: `CARGO_ENCODED_RUSTFLAGS`, else `RUSTFLAGS`, else the tables `target.*` of its
//! configuration that fit, else `build.rustflags` (the Cargo book, "Configuration", `build.rustflags`). So ours are
//! put into whichever is used: beside the variable's, or by `--config`, which Cargo joins with the files' lists, under
//! `build` and under each table of targets that has flags. Which of those fits is left to Cargo.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

/// How Cargo is told of further flags.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Further {
    /// By this variable, with the user's flags in it.
    Variable(&'static str, String),
    /// By these values of `--config`.
    Config(Vec<String>),
}

/// Flags as they stand in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Flags {
    /// Separated by blanks. A nearer file replaces it.
    Line(String),
    /// Joined over all files.
    List(Vec<String>),
}

/// The way to give the flags `always`, and `stack` unless the user chose a size of the stack, to a build in a folder.
///
/// `variable` looks up the environment.
pub(super) fn further(
    folder: &Path,
    variable: impl Fn(&str) -> Option<OsString>,
    always: &[&str],
    stack: &str,
) -> Further {
    let text = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
    let wanted = |given: &str| {
        let chosen = given.contains("stack-size");
        always.iter().copied().chain((!chosen).then_some(stack)).map(str::to_owned).collect::<Vec<_>>()
    };
    for (name, separator) in [("CARGO_ENCODED_RUSTFLAGS", "\u{1f}"), ("RUSTFLAGS", " ")] {
        if let Some(given) = text(name) {
            let all = [given.clone()].into_iter().filter(|given| !given.is_empty()).chain(wanted(&given));
            return Further::Variable(name, all.collect::<Vec<_>>().join(separator));
        }
    }
    let mut tables = BTreeMap::from([("build".to_owned(), None)]);
    for file in files(folder, variable("CARGO_HOME"), variable("HOME")) {
        // What cannot be read, Cargo complains about better.
        let read = fs::read_to_string(&file).ok().and_then(|text| text.parse::<Table>().ok());
        collect(&read.unwrap_or_default(), &mut tables);
    }
    let target = super::toolchain::TARGET;
    let named = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    for (name, key) in [("CARGO_BUILD_RUSTFLAGS", "build".to_owned()), (&*named, format!("target.{target:?}"))] {
        if let Some(given) = text(name) {
            let flags = tables.entry(key).or_default();
            match flags {
                Some(Flags::List(list)) => list.push(given),
                Some(Flags::Line(_)) => {}
                None => *flags = Some(Flags::List(vec![given])),
            }
        }
    }
    Further::Config(tables.into_iter().map(|(key, given)| setting(&key, given, wanted)).collect())
}

fn setting(key: &str, given: Option<Flags>, wanted: impl Fn(&str) -> Vec<String>) -> String {
    match given {
        // Cargo joins no list with a line, and of two lines takes one.
        Some(Flags::Line(line)) => {
            let all: Vec<_> = std::iter::once(line.clone()).chain(wanted(&line)).collect();
            format!("{key}.rustflags={}", serde_json::Value::from(all.join(" ")))
        }
        Some(Flags::List(list)) => format!("{key}.rustflags={}", list_of(wanted(&list.join(" ")))),
        None => format!("{key}.rustflags={}", list_of(wanted(""))),
    }
}

/// JSON's strings and lists are TOML's too.
fn list_of(flags: Vec<String>) -> serde_json::Value {
    flags.into()
}

/// Files that include each other are followed so far.
const MAX_INCLUDES: usize = 64;

/// Cargo's configuration files for a folder, the nearest first, each before those that it includes.
pub(super) fn files(folder: &Path, cargo_home: Option<OsString>, home: Option<OsString>) -> Vec<PathBuf> {
    let home = cargo_home.map(PathBuf::from).or_else(|| home.map(|home| Path::new(&home).join(".cargo")));
    let folders = folder.ancestors().map(|folder| folder.join(".cargo")).chain(home);
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in folders {
        // The name without an ending is the older one, and goes first where both are there.
        let file = ["config", "config.toml"].map(|name| folder.join(name)).into_iter().find(|file| file.is_file());
        if let Some(file) = file {
            with_included(file, &mut found);
        }
    }
    found
}

/// A file and those that its `include` names, of which a later one goes before an earlier one.
fn with_included(file: PathBuf, found: &mut Vec<PathBuf>) {
    if found.contains(&file) || found.len() >= MAX_INCLUDES {
        return;
    }
    let read = fs::read_to_string(&file).ok().and_then(|text| text.parse::<Table>().ok()).unwrap_or_default();
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    found.push(file);
    let named = read.get("include").and_then(Value::as_array).into_iter().flatten();
    let paths = named.filter_map(|entry| entry.as_str().or_else(|| entry.get("path").and_then(Value::as_str)));
    let included: Vec<PathBuf> = paths.map(|path| folder.join(path)).filter(|path| path.is_file()).collect();
    included.into_iter().rev().for_each(|file| with_included(file, found));
}

fn collect(config: &Table, tables: &mut BTreeMap<String, Option<Flags>>) {
    let build = config.get("build").map(|build| ("build".to_owned(), build));
    let targets = config.get("target").and_then(Value::as_table).into_iter().flatten();
    let targets = targets.map(|(name, target)| (format!("target.{name:?}"), target));
    for (key, table) in build.into_iter().chain(targets) {
        let Some(flags) = table.get("rustflags").and_then(flags_of) else { continue };
        match (tables.entry(key).or_default(), flags) {
            (Some(Flags::List(known)), Flags::List(more)) => known.extend(more),
            (known @ None, flags) => *known = Some(flags),
            // A nearer line holds; a mixture is an error of Cargo's.
            (Some(_), _) => {}
        }
    }
}

fn flags_of(value: &Value) -> Option<Flags> {
    match value {
        Value::String(line) => Some(Flags::Line(line.clone())),
        Value::Array(list) => Some(Flags::List(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: &str = "-Clink-arg=-zstack-size=1";

    fn with(config: &str, variables: &[(&str, &str)]) -> Further {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(".cargo")).unwrap();
        fs::write(folder.path().join(".cargo/config.toml"), config).unwrap();
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        further(folder.path(), variable, &["-La"], STACK)
    }

    fn config(settings: &[&str]) -> Further {
        Further::Config(settings.iter().map(|&setting| setting.to_owned()).collect())
    }

    #[test]
    fn a_variable_of_the_user_keeps_its_flags_and_gets_ours_beside_them() {
        let encoded = [("CARGO_ENCODED_RUSTFLAGS", "--cfg\u{1f}a b"), ("RUSTFLAGS", "lost")];
        let all = format!("--cfg\u{1f}a b\u{1f}-La\u{1f}{STACK}");
        assert_eq!(with("", &encoded), Further::Variable("CARGO_ENCODED_RUSTFLAGS", all));
        let plain = [("RUSTFLAGS", "--cfg a")];
        assert_eq!(with("", &plain), Further::Variable("RUSTFLAGS", format!("--cfg a -La {STACK}")));
    }

    #[test]
    fn every_table_that_may_fit_gets_ours_as_well() {
        let text = "[build]\nrustflags = [\"a\"]\n[target.'cfg(target_arch = \"wasm32\")']\nrustflags = [\"b\"]";
        let ours = format!("rustflags=[\"-La\",\"{STACK}\"]");
        let cfg = format!("target.\"cfg(target_arch = \\\"wasm32\\\")\".{ours}");
        assert_eq!(with(text, &[]), config(&[&format!("build.{ours}"), &cfg]));
        assert_eq!(with("", &[]), config(&[&format!("build.{ours}")]));
        let named = with("", &[("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", "x")]);
        assert_eq!(named, config(&[&format!("build.{ours}"), &format!("target.\"wasm32-wasip2\".{ours}")]));
    }

    #[test]
    fn flags_in_one_line_are_continued() {
        let text = "[build]\nrustflags = \"--cfg a\"";
        assert_eq!(with(text, &[]), config(&[&format!("build.rustflags=\"--cfg a -La {STACK}\"")]));
    }

    #[test]
    fn what_a_configuration_includes_counts_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let cargo = folder.path().join(".cargo");
        fs::create_dir_all(&cargo).unwrap();
        let files_of = |named: &[&str]| named.iter().map(|name| cargo.join(name)).collect::<Vec<_>>();
        fs::write(
            cargo.join("config.toml"),
            "include = [\"a.toml\", { path = \"b.toml\", optional = true }, \"gone.toml\"]",
        )
        .unwrap();
        fs::write(cargo.join("a.toml"), "include = [\"config.toml\"]\n[build]\nrustflags = \"--cfg a\"").unwrap();
        fs::write(cargo.join("b.toml"), "").unwrap();
        assert_eq!(files(folder.path(), Some("/none".into()), None), files_of(&["config.toml", "b.toml", "a.toml"]));
        let found = further(folder.path(), |name| (name == "CARGO_HOME").then(|| "/none".into()), &["-La"], STACK);
        assert_eq!(found, config(&[&format!("build.rustflags=\"--cfg a -La {STACK}\"")]));
    }

    #[test]
    fn a_size_of_the_stack_that_the_user_chose_holds() {
        let text = "[build]\nrustflags = [\"-Clink-arg=-zstack-size=9\"]";
        assert_eq!(with(text, &[]), config(&["build.rustflags=[\"-La\"]"]));
    }
}
