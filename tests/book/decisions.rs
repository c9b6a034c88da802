//! Each decision has its date, what else was considered and what follows, and is in the list with its title and date.

use std::path::Path;

use crate::{pages, read};

const FOLDER: &str = "docs/src/decisions";
const SECTIONS: [&str; 4] = ["## Context", "## Decision", "## Alternatives", "## Consequences"];

#[test]
fn each_decision_has_a_date_alternatives_and_consequences_and_is_listed() {
    let list = read(Path::new(FOLDER).join("index.md"));
    let summary = read("docs/src/SUMMARY.md");
    for (number, page) in pages(FOLDER).iter().filter(|page| !page.ends_with("index.md")).enumerate() {
        let (name, text) = (page.file_name().expect("a name").to_string_lossy(), read(page));
        let number = number + 1;
        let title = text.lines().next().and_then(|line| line.strip_prefix(&format!("# {number}. ")));
        let title = title.unwrap_or_else(|| panic!("{name} begins with `# {number}. ` and its title"));
        let date = text.lines().find_map(|line| line.strip_prefix("Date: ")?.split_once('.')).map(|(date, _)| date);
        let date = date.unwrap_or_else(|| panic!("{name} has a line `Date: YYYY-MM-DD. Status: accepted.`"));
        let sections: Vec<_> = text.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(sections, SECTIONS, "{name}");
        let line = format!("| {number:04} | [{title}]({name}) | {date} |");
        assert!(list.contains(&line), "{FOLDER}/index.md lacks\n{line}");
        let line = format!("  - [{title}](decisions/{name})");
        assert!(summary.contains(&line), "docs/src/SUMMARY.md lacks\n{line}");
    }
}
