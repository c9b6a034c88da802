//! The pages of the book that are made from the code: what commands, annotations, kinds, limits, errors and metrics there are.
//! Each test compares a page with what the code says now; `make reference` writes it.

mod annotations;
mod commands;
mod constants;
mod kinds;
mod limits;
mod metrics;
mod placeholders;
mod reasons;
mod sentences;

use std::{fs, path::Path};

/// What each page begins with, below its title.
const GENERATED: &str = "<!-- Generated from the code: `make reference` writes this page. -->";

/// Where the repository is.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether the pages are written rather than compared.
fn is_writing() -> bool {
    std::env::var_os("SAMPAN_WRITE_REFERENCE").is_some()
}

/// Fails where a page of `docs/src/reference` is not this text; with `SAMPAN_WRITE_REFERENCE` set, writes it instead.
fn keep(page: &str, text: &str) {
    keep_at(&format!("docs/src/reference/{page}"), text);
}

/// The same for a file at a path in the repository.
fn keep_at(page: &str, text: &str) {
    let path = root().join(page);
    if is_writing() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for the page");
        fs::write(&path, text).expect("the page can be written");
        return;
    }
    let kept = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}: run `make reference`"));
    if kept == text {
        return;
    }
    let (mut old, mut new) = (kept.lines(), text.lines());
    let mut line = 1;
    let (old, new) = loop {
        match (old.next(), new.next()) {
            (Some(old), Some(new)) if old == new => line += 1,
            (old, new) => break (old.unwrap_or_default(), new.unwrap_or_default()),
        }
    };
    panic!("{page}:{line} is not what the code says: run `make reference`\n- {old}\n+ {new}");
}

/// A text as it can stand in a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
