/// One step of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// What stands between two braces: steps, each from what the one before found.
    Action(Vec<Node>),
    /// As it is.
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Field(String),
    Wildcard,
    /// What there is, and all below it.
    Descent,
    /// `[from:to:step]`; an index is the slice of one.
    Slice(Slice),
    Filter(Box<Filter>),
    Union(Vec<Vec<Node>>),
    Range,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) step: Option<i64>,
    /// One item, whose place `from` is.
    pub(super) is_index: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub(super) left: Vec<Node>,
    /// How it is compared with what; `None`: it is enough that there is something.
    pub(super) comparison: Option<(Comparison, Vec<Node>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Reads a template: text, and actions in braces.
pub(super) fn template(text: &str) -> Result<Vec<Node>, String> {
    let (mut nodes, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('{') {
        if at > 0 {
            nodes.push(Node::Text(rest[..at].to_owned()));
        }
        let mut parser = Parser { rest: &rest[at + 1..] };
        nodes.push(Node::Action(parser.steps(Some('}'))?));
        rest = parser.rest;
    }
    if !rest.is_empty() {
        nodes.push(Node::Text(rest.to_owned()));
    }
    Ok(nodes)
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    /// Steps until `end`, which is taken too; without it, until there is no more.
    fn steps(&mut self, end: Option<char>) -> Result<Vec<Node>, String> {
        let mut nodes = Vec::new();
        loop {
            let Some(next) = self.rest.chars().next() else {
                return if end.is_none() { Ok(nodes) } else { Err("a brace is not closed".to_owned()) };
            };
            if Some(next) == end {
                self.rest = &self.rest[1..];
                return Ok(nodes);
            }
            match next {
                ' ' | '@' | '$' => self.rest = &self.rest[1..],
                '\n' | '\r' => return Err("a brace is not closed before the line ends".to_owned()),
                '[' if self.rest.starts_with("[?(") => nodes.push(self.filter()?),
                '[' => {
                    let inner = self.bracketed()?;
                    nodes.extend(subscript(inner)?);
                }
                '"' | '\'' => nodes.push(Node::Text(self.quoted(next)?)),
                '.' if self.rest.starts_with("..") => {
                    if nodes.last() == Some(&Node::Descent) {
                        return Err("`..` stands twice".to_owned());
                    }
                    self.rest = &self.rest[2..];
                    nodes.push(Node::Descent);
                    if self.rest.starts_with(is_word) || self.rest.starts_with('*') {
                        nodes.push(self.field()?);
                    }
                }
                '.' => {
                    self.rest = &self.rest[1..];
                    nodes.push(self.field()?);
                }
                '+' | '-' | '0'..='9' => nodes.push(self.number()?),
                _ if is_word(next) => nodes.push(self.word()?),
                _ => return Err(format!("`{next}` means nothing there")),
            }
        }
    }

    fn field(&mut self) -> Result<Node, String> {
        let mut name = String::new();
        let mut characters = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
                ' ' | '.' | '[' | ']' | '{' | '}' => {
                    end = at;
                    break;
                }
                other => name.push(other),
            }
        }
        self.rest = &self.rest[end..];
        match name.as_str() {
            "" => Err("a dot without a name: the whole is {@}".to_owned()),
            "*" => Ok(Node::Wildcard),
            _ => Ok(Node::Field(name)),
        }
    }

    /// What stands between `[` and the next `]`.
    fn bracketed(&mut self) -> Result<&'a str, String> {
        let end = self.rest.find([']', '\n']).filter(|at| self.rest[*at..].starts_with(']'));
        let end = end.ok_or("`[` is not closed")?;
        let inner = &self.rest[1..end];
        self.rest = &self.rest[end + 1..];
        Ok(inner)
    }

    fn filter(&mut self) -> Result<Node, String> {
        const OPEN: &str = "[?(";
        let inner = &self.rest[OPEN.len()..];
        let (mut depth, mut quote, mut escaped) = (1_usize, None, false);
        let end = inner.char_indices().find_map(|(at, character)| {
            match (character, quote) {
                _ if escaped => escaped = false,
                ('\\', _) => escaped = true,
                (other, Some(open)) => quote = (other != open).then_some(open),
                ('"' | '\'', None) => quote = Some(character),
                ('(', None) => depth += 1,
                (')', None) => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(at)
        });
        let end = end.ok_or("`[?(` is not closed")?;
        let Some(rest) = inner[end + 1..].strip_prefix(']') else {
            return Err("`]` is missing after a filter".to_owned());
        };
        self.rest = rest;
        let text = &inner[..end];
        let (left, comparison) = match comparison(text)? {
            Some((left, how, right)) => (left, Some((how, steps(right)?))),
            None => (text, None),
        };
        Ok(Node::Filter(Box::new(Filter { left: steps(left)?, comparison })))
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\n' => break,
                _ if character == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => {
                    let Some((_, escaped)) = characters.next() else { break };
                    text.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        'a' => '\u{7}',
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'v' => '\u{b}',
                        '\\' | '"' | '\'' => escaped,
                        'u' => {
                            let digits: String = characters.by_ref().take(4).map(|(_, digit)| digit).collect();
                            let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                            code.ok_or_else(|| format!("`\\u{digits}` is no character"))?
                        }
                        other => return Err(format!("`\\{other}` is no character: write \\n, \\t, \\\\ or \\u0041")),
                    });
                }
                other => text.push(other),
            }
        }
        Err("a quote is not closed".to_owned())
    }

    fn number(&mut self) -> Result<Node, String> {
        let is_part = |c: char| is_word(c) || matches!(c, '.' | '+' | '-');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Ok(whole) = text.parse() {
            return Ok(Node::Int(whole));
        }
        text.parse().map(Node::Float).map_err(|_| format!("`{text}` is no number"))
    }

    fn word(&mut self) -> Result<Node, String> {
        let ends = |c: char| matches!(c, '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}' | ' ' | '\n' | '\r');
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(match word {
            "range" => Node::Range,
            "end" => Node::End,
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            other => return Err(format!("`{other}` means nothing: a field begins with a dot, `.{other}`")),
        })
    }
}

fn steps(text: &str) -> Result<Vec<Node>, String> {
    Parser { rest: text }.steps(None)
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// What stands in brackets: a wildcard, an index, a slice, a name in quotes, or several of them.
fn subscript(text: &str) -> Result<Vec<Node>, String> {
    let text = text.trim();
    if text == "*" {
        return Ok(vec![Node::Slice(Slice { from: None, to: None, step: None, is_index: false })]);
    }
    if text.contains(',') {
        let parts = text.split(',').map(|part| subscript(part.trim()));
        return parts.collect::<Result<_, _>>().map(|parts| vec![Node::Union(parts)]);
    }
    for quote in ['\'', '"'] {
        let name = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        if let Some(name) = name.filter(|name| !name.contains(quote)) {
            return steps(&format!(".{name}"));
        }
    }
    let numbers: Vec<&str> = text.split(':').collect();
    let number = |at: usize| match numbers.get(at) {
        None | Some(&"") => Ok(None),
        Some(digits) => digits.parse().map(Some).map_err(|_| no_index(text)),
    };
    if text.is_empty() || numbers.len() > 3 {
        return Err(no_index(text));
    }
    Ok(vec![Node::Slice(Slice { from: number(0)?, to: number(1)?, step: number(2)?, is_index: numbers.len() == 1 })])
}

fn no_index(text: &str) -> String {
    format!("`{text}` is no index: write [0], [0:2], [*], ['name'] or [?(@.field=='value')]")
}

/// What a filter compares, split at the first operator outside quotes and brackets.
fn comparison(text: &str) -> Result<Option<(&str, Comparison, &str)>, String> {
    if let Some(operator) = ["&&", "||", "=~"].into_iter().find(|operator| outside(text, operator).is_some()) {
        return Err(format!("`{operator}` is not in Kubernetes' JSONPath: a filter makes one comparison"));
    }
    let Some(at) = ["=", "!", "<", ">"].into_iter().filter_map(|sign| outside(text, sign)).min() else {
        return Ok(None);
    };
    let (left, rest) = text.split_at(at);
    let end = rest.find(|c| !matches!(c, '=' | '!' | '<' | '>')).unwrap_or(rest.len());
    let (operator, right) = rest.split_at(end);
    let how = match operator {
        "==" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        other => return Err(format!("`{other}` is no comparison: write ==, !=, <, <=, > or >=")),
    };
    if left.trim().is_empty() || right.trim().is_empty() {
        return Err(format!("`{operator}` compares nothing"));
    }
    Ok(Some((left, how, right)))
}

/// Where `wanted` first stands outside quotes and brackets.
fn outside(text: &str, wanted: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    text.char_indices().find_map(|(at, character)| {
        match (character, quote) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            (other, Some(open)) => quote = (other != open).then_some(open),
            ('"' | '\'', None) => quote = Some(character),
            ('[', None) => depth += 1,
            (']', None) => depth = depth.saturating_sub(1),
            _ if depth == 0 && text[at..].starts_with(wanted) => return Some(at),
            _ => {}
        }
        None
    })
}
