//! Values as kubectl prints them where it prints no JSON: as Go does.

use serde_json::Value;

/// `map[app:shop tier:web]`, `[1 2]`, texts without quotes.
pub(super) fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let mut fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}:{}", printed(value))).collect();
            fields.sort();
            format!("map[{}]", fields.join(" "))
        }
        other => other.to_string(),
    }
}

/// JSON in one line, in which characters that mean something to HTML are escaped.
pub(super) fn json(value: &Value) -> String {
    let mut text = value.to_string();
    for (character, escaped) in [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")] {
        text = text.replace(character, escaped);
    }
    text
}
