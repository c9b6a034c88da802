//! Objects told to clients as they are stored: the store's own bytes, into which their version is put, without being read and
//! written anew. However many clients are told of an object, its text is in memory once.

use bytes::Bytes;
use store::Revision;

use crate::resources::Resource;

use super::{error::ApiError, objects::decode};

/// The text of an object in this version of its kind, in pieces.
///
/// Fails for what cannot be read from the store.
pub(super) fn pieces(resource: &Resource, stored: &Bytes, revision: Revision) -> Result<Vec<Bytes>, ApiError> {
    if let Some(shared) = shared_pieces(resource, stored, revision) {
        return Ok(shared);
    }
    Ok(vec![decode(resource, stored, revision)?.to_string().into()])
}

/// Slices of the stored bytes; `None`: the object has to be made anew, such as for another version of its kind.
fn shared_pieces(resource: &Resource, stored: &Bytes, revision: Revision) -> Option<Vec<Bytes>> {
    if resource.view.is_some() {
        return None;
    }
    let mut members = Members::of(stored, 0)?;
    let (mut version, mut kind, mut metadata) = (false, false, None);
    while !(version && kind && metadata.is_some()) {
        let Some((key, at)) = members.next()? else { break };
        match key {
            b"apiVersion" => version = members.is_text(at, &resource.api_version())?,
            b"kind" => kind = members.is_text(at, resource.kind)?,
            b"metadata" => metadata = Some(at),
            _ => {}
        }
        members.skip_value()?;
    }
    let metadata = metadata?;
    let mut fields = Members::of(stored, metadata)?;
    let mut empty = true;
    while let Some((key, _)) = fields.next()? {
        if key == b"resourceVersion" {
            return None;
        }
        empty = false;
        fields.skip_value()?;
    }
    let mut missing = String::new();
    if !version {
        missing += &format!("\"apiVersion\":\"{}\",", resource.api_version());
    }
    if !kind {
        missing += &format!("\"kind\":\"{}\",", resource.kind);
    }
    let separator = if empty { "" } else { "," };
    let put_in = format!("\"resourceVersion\":\"{revision}\"{separator}");
    Some(vec![
        Bytes::from(format!("{{{missing}")),
        stored.slice(1..=metadata),
        Bytes::from(put_in),
        stored.slice(metadata + 1..),
    ])
}

/// The members of one object of a JSON text, of which nothing is between the tokens. `None` from any of its functions: it is not
/// such a text.
struct Members<'t> {
    text: &'t [u8],
    /// Before a key, or before a value.
    at: usize,
}

impl<'t> Members<'t> {
    /// Of the object that begins here.
    fn of(text: &'t [u8], at: usize) -> Option<Self> {
        (text.get(at) == Some(&b'{')).then_some(Self { text, at: at + 1 })
    }

    /// The next key, as it is written, and where its value begins. The value is to be skipped before the next one.
    fn next(&mut self) -> Option<Option<(&'t [u8], usize)>> {
        if self.text.get(self.at)? == &b'}' {
            return Some(None);
        }
        let start = self.at;
        self.skip_text()?;
        let key = &self.text[start + 1..self.at - 1];
        (self.text.get(self.at)? == &b':').then_some(())?;
        self.at += 1;
        Some(Some((key, self.at)))
    }

    /// Whether the value is this text, which needs no escapes; `None`: it is another.
    fn is_text(&self, at: usize, wanted: &str) -> Option<bool> {
        let value = self.text.get(at + 1..at + 1 + wanted.len())?;
        let quoted = self.text[at] == b'"' && self.text.get(at + 1 + wanted.len()) == Some(&b'"');
        (quoted && value == wanted.as_bytes()).then_some(true)
    }

    fn skip_text(&mut self) -> Option<()> {
        (self.text.get(self.at)? == &b'"').then_some(())?;
        self.at += 1;
        loop {
            match self.text.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }

    /// Skips a value and the comma behind it.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.text.get(self.at)? {
                b'"' => {
                    self.skip_text()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => return Some(()),
                b'}' | b']' => depth -= 1,
                b',' if depth == 0 => {
                    self.at += 1;
                    return Some(());
                }
                _ => {}
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{api_server::objects::encode, resources::find_kind};

    fn told(kind: &str, stored: &str) -> (usize, Value) {
        let stored = Bytes::copy_from_slice(stored.as_bytes());
        let pieces = pieces(find_kind(kind).unwrap(), &stored, Revision(7)).unwrap();
        let shared = pieces.iter().filter(|piece| stored.as_ptr_range().contains(&piece.as_ptr())).count();
        (shared, serde_json::from_slice(&pieces.concat()).unwrap())
    }

    #[test]
    fn an_object_is_told_in_the_bytes_of_the_store() {
        let stored =
            r#"{"apiVersion":"v1","data":{"a":"}\",\\","metadata":"{"},"kind":"ConfigMap","metadata":{"name":"a"}}"#;
        let (shared, object) = told("ConfigMap", stored);
        assert_eq!(shared, 2);
        assert_eq!(object["metadata"], json!({ "name": "a", "resourceVersion": "7" }));
        assert_eq!(object["data"]["a"], "}\",\\");
    }

    #[test]
    fn what_is_stored_without_its_kind_or_in_another_way_is_told_with_it() {
        for stored in [
            r#"{"metadata":{}}"#,
            r#"{"kind":"ConfigMap","metadata":{}}"#,
            r#"{"apiVersion":"v2","kind":"Other","metadata":{}}"#,
            r#"{"metadata":{"resourceVersion":"3"},"kind":"ConfigMap"}"#,
            r#"{"kind":"ConfigMap"}"#,
            r#" {"kind":"ConfigMap", "metadata": {}}"#,
        ] {
            let object = told("ConfigMap", stored).1;
            let wanted = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "resourceVersion": "7" } });
            assert_eq!(object, wanted, "{stored}");
        }
    }

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!['a', '"', '\\', '{', '}', '[', ']', ',', ':', 'ä', '\n']), 0..6)
            .prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn what_is_told_is_what_reading_it_would_give(name in text(), key in text(), value in text()) {
            let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { key.clone(): value, "metadata": [1, {}] },
                "metadata": { "name": name, "labels": { key: null, "n": 1.5 } } });
            let stored = encode(&object);
            let resource = find_kind("ConfigMap").unwrap();
            let told: Value = serde_json::from_slice(&pieces(resource, &stored, Revision(9)).unwrap().concat()).unwrap();
            prop_assert_eq!(told, decode(resource, &stored, Revision(9)).unwrap());
        }
    }
}
