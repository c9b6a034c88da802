//! Finds the line of a field in a YAML text, so that a refusal can point at it.

/// One step of a field path.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The line (from 1) of `spec.template.spec.containers[0].image` in a block-style YAML document, or the
/// line of the last step of it that is there. `None` where not even the first is, as in JSON.
pub(crate) fn field_line(text: &str, path: &str) -> Option<usize> {
    let lines: Vec<Line<'_>> = text.lines().enumerate().filter_map(|(index, text)| Line::read(index, text)).collect();
    let mut block = lines;
    let mut found = None;
    for step in steps(path) {
        let Some((line, inner)) = descend(&block, &step) else { break };
        found = Some(line + 1);
        block = inner;
    }
    found
}

/// A line with content: where it is, how far it is indented, what it says.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    index: usize,
    indent: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn read(index: usize, text: &'a str) -> Option<Self> {
        let content = text.trim_start();
        let ignored = content.is_empty() || content.starts_with('#') || text.starts_with("---");
        (!ignored).then(|| Self { index, indent: text.len() - content.len(), text: content })
    }
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (key, indices) = part.split_once('[').unwrap_or((part, ""));
        if !key.is_empty() {
            steps.push(Step::Key(key));
        }
        let indices = indices.split(['[', ']']).filter(|index| !index.is_empty());
        steps.extend(indices.map(|index| index.parse().map_or(Step::Key(index), Step::Index)));
    }
    steps
}

/// The line that a step leads to, and the lines below it.
fn descend<'a>(block: &[Line<'a>], step: &Step<'_>) -> Option<(usize, Vec<Line<'a>>)> {
    let indent = block.first()?.indent;
    let mut matching =
        block.iter().enumerate().filter(|(_, line)| line.indent == indent && step.matches_line(line.text));
    let (at, line) = match step {
        Step::Key(_) => matching.next()?,
        Step::Index(wanted) => matching.nth(*wanted)?,
    };
    let below = block[at + 1..].iter();
    // A list may stand at the indentation of its key.
    let inner =
        |next: &&Line<'_>| next.indent > indent || matches!(step, Step::Key(_)) && is_item(next) && !is_item(line);
    let mut lines: Vec<_> = below.take_while(|next| next.indent >= indent && inner(next)).copied().collect();
    if let Step::Index(_) = step {
        let content = line.text.trim_start_matches('-').trim_start();
        let shift = line.text.len() - content.len();
        lines.insert(0, Line { index: line.index, indent: indent + shift, text: content });
    }
    Some((line.index, lines))
}

fn is_item(line: &Line<'_>) -> bool {
    line.text == "-" || line.text.starts_with("- ")
}

impl Step<'_> {
    fn matches_line(&self, text: &str) -> bool {
        match self {
            Self::Index(_) => text == "-" || text.starts_with("- "),
            Self::Key(key) => text
                .trim_start_matches(['"', '\''])
                .strip_prefix(key)
                .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# A comment.
apiVersion: apps/v1
spec:
  replicas: 3
  template:
    spec:
      containers:
      - name: a
        image: x
      - image: y
        ports:
          - containerPort: 80
";

    #[test]
    fn keys_and_items_are_found_at_their_lines() {
        assert_eq!(field_line(TEXT, "spec.replicas"), Some(4));
        assert_eq!(field_line(TEXT, "spec.template.spec.containers[0].image"), Some(9));
        assert_eq!(field_line(TEXT, "spec.template.spec.containers[1].image"), Some(10));
        assert_eq!(field_line(TEXT, "spec.template.spec.containers[1].ports[0].containerPort"), Some(12));
    }

    #[test]
    fn a_missing_field_is_pointed_at_where_it_belongs() {
        assert_eq!(field_line(TEXT, "spec.selector"), Some(3));
        assert_eq!(field_line(TEXT, "spec.template.spec.containers[0].ports"), Some(8));
        assert_eq!(field_line(TEXT, "metadata.name"), None);
        assert_eq!(field_line("{\"spec\": {}}", "spec"), None);
    }
}
