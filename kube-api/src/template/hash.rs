//! `pod-template-hash`: a short name for what a template says.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// As Kubernetes: no vowels and no digits that look like letters, so that no word comes out.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Characters of a hash: 27^10 is about 2^47, far more than one Deployment has revisions.
const LENGTH: usize = 10;

/// The hash of a template. The order of fields makes no difference, nor do fields that are null or empty.
pub(super) fn of(template: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(template, &mut hasher);
    hasher
        .finalize()
        .iter()
        .take(LENGTH)
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

/// Feeds a canonical form: sorted keys, and each value preceded by its kind and length.
fn feed(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().filter(|(_, value)| says_something(value)).collect();
            fields.sort_by_key(|(key, _)| key.as_str());
            hasher.update(format!("o{}:", fields.len()));
            for (key, value) in fields {
                hasher.update(format!("{}:{key}", key.len()));
                feed(value, hasher);
            }
        }
        Value::Array(elements) => {
            hasher.update(format!("a{}:", elements.len()));
            elements.iter().for_each(|element| feed(element, hasher));
        }
        Value::String(text) => hasher.update(format!("s{}:{text}", text.len())),
        scalar => hasher.update(format!("v{scalar};")),
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(fields) => fields.values().any(says_something),
        Value::Array(elements) => !elements.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_template_says_makes_a_difference() {
        let hash = of(&json!({ "a": 1, "b": { "c": "x" } }));
        assert_eq!(hash.len(), LENGTH);
        assert_eq!(hash, of(&json!({ "b": { "c": "x", "d": null }, "e": {}, "f": [], "a": 1 })));
        assert_ne!(hash, of(&json!({ "a": 2, "b": { "c": "x" } })));
        assert_ne!(of(&json!({ "a": "1" })), of(&json!({ "a": 1 })));
        assert_ne!(of(&json!([["a"], []])), of(&json!([[], ["a"]])));
    }
}
