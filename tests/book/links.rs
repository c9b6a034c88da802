//! Every link leads to a page, a file or a heading that is there, and the summary names every page.

use std::{collections::BTreeSet, path::Path};

use crate::{markdown, pages, read, root};

const BOOK: &str = "docs/src";
/// Pages that stand in the repository beside the book.
const BESIDE: [&str; 10] = [
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "bench/README.md",
    "samples/README.md",
    "samples/hello/README.md",
    "samples/shopping-cart/README.md",
    "tests/conformance/README.md",
    "wit/README.md",
];

/// What is wrong with the links of a page.
fn broken(page: &Path) -> Vec<String> {
    let text = read(page);
    let (_, prose) = markdown::split(&text);
    let mut wrong = Vec::new();
    for (line, text_of_line) in prose {
        for target in markdown::targets(text_of_line).into_iter().filter(|target| !target.contains("://")) {
            let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
            let folder = page.parent().unwrap_or(Path::new(""));
            let to = if path.is_empty() { page.to_owned() } else { folder.join(path) };
            if !root().join(&to).exists() {
                wrong.push(format!("{}:{line}: {target} is not there", page.display()));
            } else if let Some(anchor) = anchor
                && !markdown::anchors(&read(&to)).iter().any(|known| known == anchor)
            {
                wrong.push(format!("{}:{line}: {target}: there is no such heading", page.display()));
            }
        }
    }
    wrong
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages(BOOK).into_iter().chain(BESIDE.iter().map(|page| Path::new(page).to_owned()));
    let broken: Vec<_> = pages.flat_map(|page| broken(&page)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// What mdBook shows stays in the book: it knows no file outside of it, but for those that a page includes.
#[test]
fn links_of_the_book_stay_in_the_book_and_what_it_includes_is_there() {
    for page in pages(BOOK) {
        let folder = page.parent().expect("a folder");
        let text = read(&page);
        let (_, prose) = markdown::split(&text);
        for (line, text) in prose {
            for target in markdown::targets(text).into_iter().filter(|target| !target.contains("://")) {
                let path = root().join(folder).join(target.split('#').next().unwrap_or_default());
                let path =
                    path.canonicalize().unwrap_or_else(|error| panic!("{}:{line}: {target}: {error}", page.display()));
                assert!(
                    path.starts_with(root().join(BOOK)),
                    "{}:{line}: {target} leads out of the book",
                    page.display()
                );
            }
        }
        for included in text.split("{{#include ").skip(1).filter_map(|rest| rest.split("}}").next()) {
            let path = included.split(':').next().unwrap_or_default();
            assert!(root().join(folder).join(path).is_file(), "{}: {included} is not there", page.display());
        }
    }
}

#[test]
fn the_summary_names_every_page_once() {
    let summary = read(Path::new(BOOK).join("SUMMARY.md"));
    let (_, prose) = markdown::split(&summary);
    let named: Vec<_> = prose.iter().flat_map(|(_, line)| markdown::targets(line)).collect();
    let unique: BTreeSet<_> = named.iter().map(|target| Path::new(BOOK).join(target)).collect();
    assert_eq!(named.len(), unique.len(), "a page is named twice");
    let there: BTreeSet<_> = pages(BOOK).into_iter().filter(|page| !page.ends_with("SUMMARY.md")).collect();
    assert_eq!(unique, there, "named and there");
}
