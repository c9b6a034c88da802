//! The book in `docs/`, and the pages beside it: their commands run, their links lead somewhere, and they are as short as
//! they are to be.

mod commands;
mod decisions;
mod links;
mod markdown;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The checkout.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a page, by its path in the checkout.
fn read(page: impl AsRef<Path>) -> String {
    let path = root().join(page);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All pages below a folder of the checkout, by their paths in the checkout, in their order.
fn pages(folder: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of pages") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(root()).expect("it is in the checkout").to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_readme_has_at_most_700_words_and_the_map_fewer_than_250_lines() {
    let words = read("README.md").split_whitespace().count();
    assert!(words <= 700, "README.md has {words} words: move what is not for the first page into docs/");
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines < 250, "ARCHITECTURE.md has {lines} lines: it is the map; explain in docs/src/explanation");
}
