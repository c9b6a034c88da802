/// A fenced block: its language, the words after that, and the line on which it begins, from 1.
pub(crate) struct Block<'a> {
    pub(crate) language: &'a str,
    pub(crate) words: Vec<&'a str>,
    pub(crate) line: usize,
}

/// The fenced blocks of a page, and its other lines with their numbers, from 1.
pub(crate) fn split(page: &str) -> (Vec<Block<'_>>, Vec<(usize, &str)>) {
    let (mut blocks, mut prose, mut is_inside) = (Vec::new(), Vec::new(), false);
    for (index, line) in page.lines().enumerate() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            if !is_inside {
                let mut words = info.split_whitespace();
                let language = words.next().unwrap_or_default();
                blocks.push(Block { language, words: words.collect(), line: index + 1 });
            }
            is_inside = !is_inside;
        } else if !is_inside {
            prose.push((index + 1, line));
        }
    }
    (blocks, prose)
}

/// The targets of the links and pictures in a line, without what stands in backquotes.
pub(crate) fn targets(line: &str) -> Vec<&str> {
    let outside = line.split('`').step_by(2);
    // A link whose words are in backquotes ends in a part of its own: `](TARGET)`.
    outside.flat_map(|part| part.split("](").skip(1)).filter_map(|part| part.split(')').next()).collect()
}

/// The anchors of a page's headings, as mdBook and most others make them.
pub(crate) fn anchors(page: &str) -> Vec<String> {
    let (_, prose) = split(page);
    let headings = prose.iter().filter_map(|(_, line)| line.strip_prefix('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            words
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn links_and_anchors_are_found() {
    let line = "See [a](b.md#c), ![d](e.svg) and [`f`](g.md); not `[h](i.md)`.";
    assert_eq!(targets(line), ["b.md#c", "e.svg", "g.md"]);
    assert_eq!(anchors("# A `b` c-d, e\n```\n# no\n```\n## F\n"), ["a-b-c-d-e", "f"]);
}
