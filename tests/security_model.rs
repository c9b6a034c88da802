//! `SECURITY.md` names the test that watches each boundary: all of them exist.

use std::{fs, path::Path};

/// All functions of this checkout's own tests and sources, by their declaration.
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
