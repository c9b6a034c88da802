//! Text that fits in a width.

/// Below this width nothing is wrapped: it would be a column of words.
const MIN_WIDTH: usize = 16;

/// A text in lines that, indented by so much, fit in `width`; all but the first are. Without a width, as it is but for the ends
/// of lines in it, after which it is indented too.
pub(crate) fn wrapped(text: &str, indent: usize, width: Option<usize>) -> String {
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(MIN_WIDTH));
    let lines: Vec<String> = text.lines().flat_map(|line| fitting(line, room)).collect();
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// A line in several. Words are not cut, however long: they may be copied.
fn fitting(line: &str, room: usize) -> Vec<String> {
    if line.chars().count() <= room {
        return vec![line.to_owned()];
    }
    let (mut lines, mut current) = (Vec::new(), String::new());
    for word in line.split(' ') {
        if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > room {
            lines.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_words_stay_whole() {
        assert_eq!(wrapped("a sentence of several words here", 2, Some(20)), "a sentence of\n  several words here");
        let long = "https://127.0.0.1:1/v2/none/manifests/v1";
        assert_eq!(wrapped(&format!("at {long} is none"), 0, Some(20)), format!("at\n{long}\nis none"));
    }

    #[test]
    fn a_pipe_gets_whole_lines() {
        let text = "many words that a terminal would have to wrap, one after the other";
        assert_eq!(wrapped(text, 4, None), text);
        assert_eq!(wrapped("one\ntwo", 2, None), "one\n  two");
    }
}
