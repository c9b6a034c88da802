//! From the events of a YAML parser to a value: anchors, merge keys, and keys that are given twice.

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::{
    Path, Text, Unreadable,
    scalar::{self, Scalar},
    weight::{self, Found},
};

/// How deep a document may be nested.
pub const MAX_DEPTH: usize = 128;
/// What all anchors and aliases of a document together may stand for, in bytes of memory, roughly.
pub const MAX_ALIASED_BYTES: usize = 16 << 20;
/// The merge key of YAML 1.1 (<https://yaml.org/type/merge.html>).
const MERGE: &str = "<<";

/// Reads the one document of a text.
pub(super) fn read(text: &str) -> Result<Text, Unreadable> {
    refuse_a_tab_before_the_first_word(text)?;
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.block_scalar_eof_without_line_feed = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let events = Parser::new_from_str_with_options(text, options);
    let mut loader = Loader { events, line: 1, anchors: HashMap::new(), aliased: 0, found: Found::default() };
    let mut value = Value::Null;
    loop {
        match loader.next()? {
            Event::StreamEnd => return Ok(Text { value, duplicates: loader.found.into_duplicates() }),
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => value = loader.node(event, &Path::Root, 0)?.into_value().map_err(|why| loader.wrong(why))?,
        }
    }
}

/// The parser takes it, kubectl's does not.
fn refuse_a_tab_before_the_first_word(text: &str) -> Result<(), Unreadable> {
    let says_something = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    match text.lines().enumerate().find(|(_, line)| says_something(line)) {
        Some((index, line)) if line.trim_start_matches(' ').starts_with('\t') => {
            Err(Unreadable { message: "a tab indents nothing: write spaces".to_owned(), line: Some(index + 1) })
        }
        _ => Ok(()),
    }
}

struct Loader<'t> {
    events: Parser<'t, StrInput<'t>>,
    /// The line of the last event.
    line: usize,
    anchors: HashMap<usize, (Node, usize)>,
    /// What anchors and aliases stood for so far.
    aliased: usize,
    found: Found,
}

/// A node: of a scalar it matters whether it is a key, so that it is not yet JSON's.
#[derive(Debug, Clone)]
enum Node {
    Scalar(Scalar),
    List(Vec<Value>),
    Fields(Map<String, Value>),
}

impl Node {
    fn into_value(self) -> Result<Value, String> {
        match self {
            Self::Scalar(scalar) => scalar.into_value(),
            Self::List(values) => Ok(Value::Array(values)),
            Self::Fields(fields) => Ok(Value::Object(fields)),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Scalar(Scalar::Text(text)) => weight::of_text(text),
            Self::Scalar(_) => weight::of(&Value::Null),
            Self::List(values) => weight::of(&Value::Null) + values.iter().map(weight::of).sum::<usize>(),
            Self::Fields(fields) => weight::of_fields(fields),
        }
    }

    /// Without what is in it.
    fn own_weight(&self) -> usize {
        match self {
            Self::Scalar(_) => self.weight(),
            Self::List(_) => weight::of(&Value::Null),
            Self::Fields(fields) => weight::of_mapping(fields),
        }
    }
}

impl<'t> Loader<'t> {
    fn next(&mut self) -> Result<Event<'t>, Unreadable> {
        match self.events.next_event() {
            None => Ok(Event::StreamEnd),
            Some(Ok((event, span))) => {
                self.line = line(&span);
                Ok(event)
            }
            Some(Err(error)) => {
                Err(Unreadable { message: error.info(), line: Some(error.marker().line()).filter(|line| *line > 0) })
            }
        }
    }

    fn wrong(&self, message: impl Into<String>) -> Unreadable {
        Unreadable { message: message.into(), line: Some(self.line) }
    }

    fn node(&mut self, event: Event<'t>, path: &Path<'_>, depth: usize) -> Result<Node, Unreadable> {
        if depth >= MAX_DEPTH {
            return Err(self.wrong(format!("is nested deeper than {MAX_DEPTH} levels")));
        }
        let (node, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor),
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref().map(own);
                let scalar = scalar::read(&text, style == ScalarStyle::Plain, tag.as_deref());
                (Node::Scalar(scalar.map_err(|why| self.wrong(why))?), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (Node::List(self.list(path, depth)?), anchor),
            Event::MappingStart(_, anchor, _) => (Node::Fields(self.fields(path, depth)?), anchor),
            _ => return Err(self.wrong("ends too early")),
        };
        self.hold(node.own_weight())?;
        if anchor != 0 {
            let weight = node.weight();
            self.spend(weight)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize) -> Result<Node, Unreadable> {
        // What is being read itself is not there yet.
        let found = self.anchors.get(&anchor).cloned();
        let (node, weight) = found.ok_or_else(|| self.wrong("an anchor's value contains itself"))?;
        self.spend(weight)?;
        Ok(node)
    }

    fn hold(&self, bytes: usize) -> Result<(), Unreadable> {
        self.found.hold(bytes).map_err(|why| self.wrong(why))
    }

    fn spend(&mut self, weight: usize) -> Result<(), Unreadable> {
        self.aliased += weight;
        match self.aliased > MAX_ALIASED_BYTES {
            true => Err(self.wrong(format!("its anchors and aliases stand for more than {MAX_ALIASED_BYTES} bytes"))),
            false => Ok(()),
        }
    }

    fn list(&mut self, path: &Path<'_>, depth: usize) -> Result<Vec<Value>, Unreadable> {
        let mut values = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(values),
                event => {
                    let node = self.node(event, &Path::Index(path, values.len()), depth + 1)?;
                    values.push(node.into_value().map_err(|why| self.wrong(why))?);
                }
            }
        }
    }

    /// As kubectl, in the order in which they stand: what a merge key brings goes before what stands above it, and what stands
    /// below it goes before that.
    fn fields(&mut self, path: &Path<'_>, depth: usize) -> Result<Map<String, Value>, Unreadable> {
        let (mut fields, mut own) = (Map::new(), std::collections::HashSet::new());
        loop {
            let event = match self.next()? {
                Event::MappingEnd => return Ok(fields),
                event => event,
            };
            let merges = is_merge_key(&event);
            let Node::Scalar(key) = self.node(event, path, depth + 1)? else {
                return Err(self.wrong("a key is a list or a mapping: write a text"));
            };
            if merges {
                let event = self.next()?;
                self.merge(event, &mut fields, path, depth + 1)?;
                continue;
            }
            let key = key.into_key().ok_or_else(|| self.wrong("a key is null: write a text"))?;
            let event = self.next()?;
            let path = Path::Key(path, &key);
            let value = self.node(event, &path, depth + 1)?.into_value().map_err(|why| self.wrong(why))?;
            if !own.insert(key.clone()) {
                self.found.duplicate(&path);
            }
            // Twice: it is also remembered as one of its own.
            self.hold(2 * weight::of_key(&key))?;
            fields.insert(key, value);
        }
    }

    fn merge(
        &mut self,
        event: Event<'t>,
        fields: &mut Map<String, Value>,
        path: &Path<'_>,
        depth: usize,
    ) -> Result<(), Unreadable> {
        const WRONG: &str = "the merge key `<<` takes a mapping, or a list of mappings";
        let is_list = matches!(event, Event::SequenceStart(..));
        match self.node(event, path, depth)? {
            Node::Fields(merged) => fields.extend(merged),
            // The first of a list goes before the others. An alias of a list is none.
            Node::List(all) if is_list => {
                for one in all.into_iter().rev() {
                    let Value::Object(merged) = one else { return Err(self.wrong(WRONG)) };
                    fields.extend(merged);
                }
            }
            _ => return Err(self.wrong(WRONG)),
        }
        Ok(())
    }
}

/// Plain, or with the tag that some tools write before it.
fn is_merge_key(event: &Event<'_>) -> bool {
    match event {
        Event::Scalar(text, style, _, None) => text == MERGE && *style == ScalarStyle::Plain,
        Event::Scalar(text, _, _, Some(tag)) => text == MERGE && own(tag) == "merge",
        _ => false,
    }
}

fn line(span: &Span) -> usize {
    span.start.line()
}

/// The tag of YAML's own schema without its prefix, or another one as it stands.
fn own(tag: &Tag) -> Cow<'_, str> {
    const PREFIX: &str = "tag:yaml.org,2002:";
    let (handle, suffix) = tag.parts();
    match handle {
        PREFIX => Cow::Borrowed(suffix),
        _ => Cow::Owned(format!("{handle}{suffix}")),
    }
}
