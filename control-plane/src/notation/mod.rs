//! Objects as text: JSON and YAML as kubectl reads them, for the API and for manifests alike.
//!
//! Of a key that is given twice the last counts, as for kubectl and the API of Kubernetes, and it is told which they were:
//! who reads decides whether that is fine. It knows nothing of kinds.

mod documents;
mod node;
mod path;

#[cfg(test)]
mod tests;

use std::cell::RefCell;

use serde::de::DeserializeSeed;
use serde_json::Value;

pub use documents::{Document, documents};
use node::{Merging, Node};
pub(crate) use path::Path;

/// What a text says.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// The value, with merge keys merged in.
    pub value: Value,
    /// The paths of keys that are given twice, such as `data.a`, each once, at most [`MAX_DUPLICATES`] of them.
    pub duplicates: Vec<String>,
}

/// Keys given twice that are told of one text.
pub const MAX_DUPLICATES: usize = 32;

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    /// What is wrong, without its place.
    pub message: String,
    /// On which line of the text, from 1, where that is known.
    pub line: Option<usize>,
}

/// Reads one JSON value, and nothing after it. Depth is bounded by the parser.
pub fn read_json(bytes: &[u8]) -> Result<Text, Unreadable> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let text = read(Merging::No, |node| node.deserialize(&mut parser)).and_then(|text| parser.end().map(|()| text));
    text.map_err(|error| Unreadable { line: Some(error.line()), message: error.to_string() })
}

/// Reads one YAML document: a text without separators, or with nothing but one document between them. Depth and repetition
/// are bounded by the parser.
pub fn read_yaml(bytes: &[u8]) -> Result<Text, Unreadable> {
    let wrong = |message: &str, line| Unreadable { message: message.to_owned(), line };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("is not UTF-8", None))?;
    match documents(text).as_slice() {
        [] => Ok(Text { value: Value::Null, duplicates: Vec::new() }),
        [one] => read_yaml_document(one.text).map_err(|error| error.behind(one.first_line)),
        [_, second, ..] => Err(wrong("holds more than one document: send each by itself", Some(second.first_line))),
    }
}

/// Reads a document of [`documents`]: YAML, or JSON values one after the other.
pub fn read_document(text: &str) -> Result<Vec<Text>, Unreadable> {
    // As kubectl: what begins like JSON is tried as JSON first, whose escapes are not all YAML's.
    if text.trim_start().starts_with('{')
        && let Some(values) = read_json_values(text)
    {
        return Ok(values);
    }
    Ok(vec![read_yaml_document(text)?])
}

fn read_json_values(text: &str) -> Option<Vec<Text>> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let mut values = Vec::new();
    while parser.end().is_err() {
        values.push(read(Merging::No, |node| node.deserialize(&mut parser)).ok()?);
    }
    Some(values)
}

fn read_yaml_document(text: &str) -> Result<Text, Unreadable> {
    let parser = serde_norway::Deserializer::from_str(text);
    read(Merging::Yes, |node| node.deserialize(parser)).map_err(|error| {
        let mut message = error.to_string();
        // The place is told apart.
        if let Some(at) = message.find(" at line ") {
            message.truncate(at);
        }
        Unreadable { message, line: error.location().map(|at| at.line()) }
    })
}

fn read<E>(merging: Merging, parse: impl FnOnce(Node<'_>) -> Result<Value, E>) -> Result<Text, E> {
    let duplicates = RefCell::new(Vec::new());
    let value = parse(Node { path: &Path::Root, merging, duplicates: &duplicates })?;
    Ok(Text { value, duplicates: duplicates.into_inner() })
}

impl Unreadable {
    /// The same of a text whose first line is this one of a larger text.
    pub fn behind(self, first_line: usize) -> Self {
        Self { line: self.line.map(|line| line + first_line - 1), ..self }
    }
}
