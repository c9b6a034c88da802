//! `SECURITY.md` names the test that watches each boundary, the book those that watch each invariant: all of them exist.

use std::{fs, path::Path};

/// All functions of this checkout's own tests and sources, by their declaration, and tests that a table names in their place.
fn declared(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            if name != "target" && name != ".git" {
                declared(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            let functions = text.lines().filter_map(|line| line.trim_start().split_once("fn "));
            let in_tables = text.lines().filter_map(|line| line.trim_start().strip_prefix("(\""));
            found.extend(in_tables.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()));
            found
                .extend(functions.filter_map(|(_, rest)| rest.split_once(['(', '<'])).map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn each_test_that_the_security_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = fs::read_to_string(root.join("SECURITY.md")).expect("SECURITY.md");
    let mut functions = Vec::new();
    declared(root, &mut functions);
    let mut rows = 0;
    for row in model.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")).skip(1) {
        let watched = row.trim_end_matches('|').rsplit('|').next().expect("a last column");
        let names: Vec<_> = watched.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty() || watched.trim() == "Tests", "nothing watches: {row}");
        for name in names {
            let known = if name.contains('/') {
                root.join(name).exists()
            } else {
                functions.iter().any(|function| function == name)
            };
            assert!(known, "SECURITY.md names `{name}`, which does not exist");
        }
        rows += 1;
    }
    assert!(rows > 20, "the model has {rows} boundaries");
}

#[test]
fn each_test_that_the_page_of_invariants_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/src/explanation/invariants.md")).expect("the page of invariants");
    let mut functions = Vec::new();
    declared(root, &mut functions);
    let watched: Vec<_> = page.split("*Watched by*").skip(1).filter_map(|rest| rest.split("\n\n").next()).collect();
    assert!(watched.len() > 30, "{} invariants say what watches them", watched.len());
    let names = watched.iter().flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    // A name of a test is a sentence; what is shorter names a room.
    for name in names.filter(|name| name.matches('_').count() > 2 && !name.contains(['/', '.', ':'])) {
        assert!(
            functions.iter().any(|function| function == name),
            "invariants.md names `{name}`, which does not exist"
        );
    }
}
