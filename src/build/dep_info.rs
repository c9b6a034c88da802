//! What a build read, as Cargo notes it beside the artifact: a rule of make(1), `ARTIFACT: FILE FILE…`, with the sources
//! of the package and of those that it depends on by path, what macros include, and what build scripts ask to be watched
//! (the Cargo book, "Build Cache", "Dep-info files").

use std::path::{Path, PathBuf};

/// A file of more than this is not read.
pub(super) const MAX_BYTES: u64 = 8 << 20;

/// The files and folders that a note lists; those without a root are below `folder`.
pub(super) fn parse(text: &str, folder: &Path) -> Vec<PathBuf> {
    let rules = text.lines().filter(|line| !line.starts_with('#'));
    let lists = rules.filter_map(|line| line.split_once(": ").map(|(_, list)| list));
    let mut paths: Vec<PathBuf> = lists.flat_map(words).map(|word| folder.join(word)).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Words that blanks divide; a blank of a path stands behind a backslash.
fn words(list: &str) -> Vec<String> {
    let (mut words, mut word, mut chars) = (Vec::new(), String::new(), list.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&' ') => word.extend(chars.next()),
            ' ' => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_every_rule_is_listed_once() {
        let text = "/t/app.wasm: /p/app/src/lib.rs /p/app/my\\ page.html ../shared/src/lib.rs\n\n/p/app/src/lib.rs:\n";
        let expected = ["/p/app/../shared/src/lib.rs", "/p/app/my page.html", "/p/app/src/lib.rs"];
        assert_eq!(parse(text, Path::new("/p/app")), expected.map(PathBuf::from));
    }
}
