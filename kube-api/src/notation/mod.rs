//! Objects as text: JSON and YAML as kubectl reads them, for the API and for manifests alike, and YAML as it is written for both.
//!
//! Of a key that is given twice the last counts, as for kubectl and the API of Kubernetes, and it is told which they were:
//! who reads decides whether that is fine. It knows nothing of kinds.

mod documents;
mod encoding;
mod node;
mod path;
mod scalar;
mod weight;
mod written;
mod yaml;

#[cfg(test)]
mod tests;

use serde::de::DeserializeSeed;
use serde_json::Value;

pub use documents::{Document, documents};
pub use encoding::decoded;
use node::Node;
pub(crate) use path::Path;
pub(crate) use weight::{Found, listed, of as weight};
pub use weight::{MAX_HELD_BYTES, MAX_LISTED};
pub use written::yaml_text;
pub use yaml::{MAX_ALIASED_BYTES, MAX_DEPTH};

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

/// Reads one JSON value, and nothing after it. Depth is bounded by the parser, and memory by [`MAX_HELD_BYTES`].
pub fn read_json(bytes: &[u8]) -> Result<Text, Unreadable> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let text = read(|node| node.deserialize(&mut parser)).and_then(|text| parser.end().map(|()| text));
    text.map_err(|error| Unreadable { line: Some(error.line()), message: error.to_string() })
}

/// Reads one YAML document: a text without separators, or with nothing but one document between them. Scalars mean what they
/// mean to kubectl, which is YAML 1.1. Depth is bounded by [`MAX_DEPTH`], repetition by [`MAX_ALIASED_BYTES`], and memory by [`MAX_HELD_BYTES`].
pub fn read_yaml(bytes: &[u8]) -> Result<Text, Unreadable> {
    let wrong = |message: &str, line| Unreadable { message: message.to_owned(), line };
    let text = decoded(bytes)?;
    match documents(&text).as_slice() {
        [] => Ok(Text { value: Value::Null, duplicates: Vec::new() }),
        [one] => yaml::read(one.text).map_err(|error| error.behind(one.first_line)),
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
    Ok(vec![yaml::read(text)?])
}

fn read_json_values(text: &str) -> Option<Vec<Text>> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let mut values = Vec::new();
    while parser.end().is_err() {
        values.push(read(|node| node.deserialize(&mut parser)).ok()?);
    }
    Some(values)
}

fn read<E>(parse: impl FnOnce(Node<'_>) -> Result<Value, E>) -> Result<Text, E> {
    let found = Found::default();
    let value = parse(Node { path: &Path::Root, found: &found })?;
    Ok(Text { value, duplicates: found.into_duplicates() })
}

impl Unreadable {
    /// The same of a text whose first line is this one of a larger text.
    pub fn behind(self, first_line: usize) -> Self {
        Self { line: self.line.map(|line| line + first_line - 1), ..self }
    }
}
