use std::fs;

use super::{
    placeholders::{default_of, fill},
    root,
};

/// Sentences of the book that say a limit: a line each, `PAGE: SENTENCE` with its numbers left out. `--OPTION: VALUE` is what the
/// help of an option says to be its default.
const SENTENCES: &str = "src/reference/sentences.txt";

/// A text in one line, with one blank between words.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_numbers_in_the_prose_of_the_book_are_those_of_the_code() {
    let commands = crate::cli::command();
    let sentences = fs::read_to_string(root().join(SENTENCES)).expect("the sentences");
    let mut wrong = Vec::new();
    for line in sentences.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (page, sentence) = line.split_once(": ").expect("a page and a sentence");
        if let Some(option) = page.strip_prefix("--") {
            let (said, is) = (default_of(option, &commands), fill(sentence, &commands));
            if said.is_none() || said != is.clone().ok() {
                wrong.push(format!("the help of {page} says that its default is {said:?}: {is:?}"));
            }
            continue;
        }
        let text = fs::read_to_string(root().join("docs/src").join(page));
        match (text, fill(sentence, &commands)) {
            (Ok(text), Ok(sentence)) if one_line(&text).contains(&sentence) => {}
            (Ok(_), Ok(sentence)) => wrong.push(format!("docs/src/{page} does not say `{sentence}`")),
            (Err(error), _) => wrong.push(format!("docs/src/{page}: {error}")),
            (_, Err(why)) => wrong.push(format!("{SENTENCES}: {why}")),
        }
    }
    assert!(wrong.is_empty(), "say it in the page, or change {SENTENCES}:\n{}", wrong.join("\n"));
}
