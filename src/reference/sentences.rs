use super::{placeholders::fill, root};

/// Sentences of the book that say a limit: a line each, `PAGE: SENTENCE` with its numbers left out.
const SENTENCES: &str = include_str!("sentences.txt");

/// A text in one line, with one blank between words.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_numbers_in_the_prose_of_the_book_are_those_of_the_code() {
    let commands = crate::cli::command();
    let mut wrong = Vec::new();
    for line in SENTENCES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (page, sentence) = line.split_once(": ").expect("a page and a sentence");
        let text = std::fs::read_to_string(root().join("docs/src").join(page));
        match (text, fill(sentence, &commands)) {
            (Ok(text), Ok(sentence)) if one_line(&text).contains(&sentence) => {}
            (Ok(_), Ok(sentence)) => wrong.push(format!("docs/src/{page} does not say `{sentence}`")),
            (Err(error), _) => wrong.push(format!("docs/src/{page}: {error}")),
            (_, Err(why)) => wrong.push(format!("src/reference/sentences.txt: {why}")),
        }
    }
    assert!(wrong.is_empty(), "say it in the page, or change src/reference/sentences.txt:\n{}", wrong.join("\n"));
}
