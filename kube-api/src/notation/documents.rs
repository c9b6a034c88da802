//! A text of several YAML documents, cut at its separators.

/// A byte order mark, which some editors write before a text.
const MARK: char = '\u{feff}';

/// One document of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'t> {
    /// The line, from 1, on which it begins.
    pub first_line: usize,
    /// What stands there, without the separators.
    pub text: &'t str,
}

/// The documents of a text. Those that hold nothing but comments and directives are left out.
///
/// A line of `---`, also with a comment behind it, separates two, as for kubectl; what else stands behind `---` belongs to
/// the document (YAML 1.2, section 9.1.4). A line of `...` ends one.
pub fn documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut first_line, mut at) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let after = at + line.len();
        if let Some(separator) = Separator::of(line.trim_start_matches(MARK)) {
            documents.push(Document { first_line, text: &text[start..at] });
            (start, first_line) = match separator {
                Separator::Alone => (after, index + 2),
                Separator::WithContent => (at, index + 1),
            };
        }
        at = after;
    }
    documents.push(Document { first_line, text: &text[start..] });
    for document in &mut documents {
        document.text = document.text.trim_start_matches(MARK);
    }
    documents.retain(|document| document.text.lines().any(has_content));
    documents
}

enum Separator {
    /// Nothing else stands on the line.
    Alone,
    /// The document begins on the line.
    WithContent,
}

impl Separator {
    fn of(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."))?;
        if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            return None;
        }
        let rest = rest.trim();
        let alone = rest.is_empty() || rest.starts_with('#') || line.starts_with('.');
        Some(if alone { Self::Alone } else { Self::WithContent })
    }
}

fn has_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with('%')
}
