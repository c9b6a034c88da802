//! YAML that means the same to every reader. Those of YAML 1.1, such as kubectl's and Python's, take `yes` and `1_000` for
//! something else than texts, and Python takes `2026-01-01` for a date: such texts stand in quotes, as kubectl writes them.

use std::fmt::Write;

use serde_json::{Map, Value};

/// Plain, these are no texts to some reader.
const WORDS: [&str; 14] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "=", "<<", ".inf", ".nan"];
/// What a plain text cannot begin with.
const INDICATORS: &str = "?:,[]{}#&*!|>'\"%@`";

/// The YAML for a value, which ends with a line's end.
#[must_use]
pub fn yaml_text(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => object(&mut text, fields, 0),
        Value::Array(items) if !items.is_empty() => list(&mut text, items, 0),
        scalar => put(&mut text, scalar, 0),
    }
    text
}

fn object(out: &mut String, fields: &Map<String, Value>, indent: usize) {
    for (at, (key, value)) in fields.iter().enumerate() {
        // The first stands behind what its line begins with.
        let before = if at == 0 { 0 } else { indent };
        let _ = write!(out, "{:before$}{}:", "", on_one_line(key));
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                let _ = write!(out, "\n{:inner$}", "", inner = indent + 2);
                object(out, inner, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                let _ = write!(out, "\n{:indent$}", "");
                list(out, items, indent);
            }
            scalar => {
                out.push(' ');
                put(out, scalar, indent);
            }
        }
    }
}

fn list(out: &mut String, items: &[Value], indent: usize) {
    for (at, item) in items.iter().enumerate() {
        let before = if at == 0 { 0 } else { indent };
        let _ = write!(out, "{:before$}- ", "");
        match item {
            Value::Object(inner) if !inner.is_empty() => object(out, inner, indent + 2),
            Value::Array(inner) if !inner.is_empty() => list(out, inner, indent + 2),
            scalar => put(out, scalar, indent),
        }
    }
}

/// What holds nothing, and the end of its line. Lines of a text stand below, further in than `indent`.
fn put(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(text) if is_block(text) => block(out, text, indent + 2),
        Value::String(text) => out.push_str(&on_one_line(text)),
        other => out.push_str(&other.to_string()),
    }
    out.push('\n');
}

/// Whether a text can stand as it is, line below line.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\t', '\n'])
        && text.chars().all(|character| matches!(character, '\n' | '\t') || is_printed(character))
}

fn block(out: &mut String, text: &str, indent: usize) {
    let ends = text.len() - text.trim_end_matches('\n').len();
    out.push_str(["|-", "|", "|+"][ends.min(2)]);
    let text = text.strip_suffix('\n').unwrap_or(text);
    for line in text.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            let _ = write!(out, "{:indent$}{line}", "");
        }
    }
}

fn on_one_line(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            character if is_printed(character) => quoted.push(character),
            character => {
                let _ = match u32::from(character) {
                    code @ ..=0xffff => write!(quoted, "\\u{code:04x}"),
                    code => write!(quoted, "\\U{code:08x}"),
                };
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Whether every reader takes it for itself between others of a line.
fn is_printed(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn is_plain(text: &str) -> bool {
    let begins_well = match text.as_bytes() {
        [] => false,
        [b'-'] | [b'-', b' ' | b'-', ..] => text.starts_with("--") && !text.starts_with("---"),
        [b'.', b'.', ..] => false,
        _ => !text.starts_with(|first: char| INDICATORS.contains(first)),
    };
    begins_well
        && text.trim() == text
        && text.chars().all(is_printed)
        && !text.ends_with(':')
        && ![": ", " #"].iter().any(|mark| text.contains(mark))
        && !WORDS.contains(&text.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str())
        && !is_number_or_time(text)
}

/// Whether some reader takes it for a number, also of base 60, or for a time.
fn is_number_or_time(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']).replace('_', "");
    let in_base = ["0x", "0o", "0b"].iter().any(|base| digits.to_ascii_lowercase().starts_with(base));
    let base_60 = digits.contains(':')
        && digits.matches('.').count() < 2
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
    digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && (digits.parse::<f64>().is_ok() || in_base || base_60 || begins_with_date(digits.as_bytes()))
}

/// Four digits, a dash, a digit.
fn begins_with_date(bytes: &[u8]) -> bool {
    bytes.iter().take(4).all(u8::is_ascii_digit)
        && bytes.get(4) == Some(&b'-')
        && bytes.get(5).is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::notation::read_yaml;

    #[test]
    fn objects_look_as_kubectl_writes_them() {
        let value = json!({
            "data": {"empty": "", "lines": "a\n\n  b\n", "y": "yes"},
            "items": [{"args": ["--all", "-"], "name": "a"}, [1, [2]], "b"],
            "nothing": {}, "none": [], "ready": true,
            "time": "2026-11-30T22:14:36Z", "uid": "4bba7e37-7b70-886f-a925-710d215b9d33",
        });
        let expected = "\
data:
  empty: \"\"
  lines: |
    a

      b
  \"y\": \"yes\"
items:
- args:
  - --all
  - \"-\"
  name: a
- - 1
  - - 2
- b
none: []
nothing: {}
ready: true
time: \"2026-11-30T22:14:36Z\"
uid: 4bba7e37-7b70-886f-a925-710d215b9d33
";
        assert_eq!(yaml_text(&value), expected);
        assert_eq!(yaml_text(&json!([])), "[]\n");
        assert_eq!(yaml_text(&json!("on")), "\"on\"\n");
    }

    #[test]
    fn what_some_reader_takes_for_no_text_stands_in_quotes_and_other_texts_do_not() {
        for odd in [
            "yes",
            "Off",
            "N",
            "null",
            "~",
            "=",
            "<<",
            ".inf",
            "-.Inf",
            ".NaN",
            "1e3",
            "1_000",
            "017",
            "0x1f",
            "0b11",
            "0o7",
            ".5",
            "1.",
            "+1",
            "12:30:45",
            "190:20:30.15",
            "2001-01-01",
            "2001-12-14t21:59:43.10-05:00",
            "a: b",
            "a #b",
            "- a",
            "-",
            "---",
            "...",
            "? a",
            "*a",
            "&a",
            "!a",
            "@a",
            "a:",
            " a",
            "a ",
            "",
            "\u{7f}",
            "\u{85}x",
            "\u{2028}",
            "\u{feff}a",
            "\u{10ffff}\n ",
        ] {
            assert!(on_one_line(odd).starts_with('"'), "{odd:?}");
        }
        for plain in [
            "256Mi",
            "50m",
            "10.102.173.185",
            "127.0.0.1:8080",
            "a:b",
            "hello:dev@sha256:3ddc",
            "--all",
            "/healthz",
            "x y",
            "Müller",
            "5%",
        ] {
            assert_eq!(on_one_line(plain), plain);
        }
    }

    #[test]
    fn what_is_written_is_read_again_as_it_was() {
        let pieces = ["a", " ", "\n", "\t", ":", "#", "-", "'", "\"", "\\", "1", "é", "\u{1b}", "|", ".", "yes"];
        let texts = pieces.iter().flat_map(|a| pieces.iter().map(move |b| (a, b)));
        let texts = texts.flat_map(|(a, b)| pieces.iter().map(move |c| format!("{a}{b}{c}")));
        for text_of in texts {
            let value =
                json!({ text_of.clone(): text_of, "list": [text_of, { "b": text_of, "c": [text_of] }], "z": 1 });
            let written = yaml_text(&value);
            let read = read_yaml(written.as_bytes()).unwrap_or_else(|error| panic!("{text_of:?}: {error}\n{written}"));
            assert_eq!(read.value, value, "{written}");
        }
    }
}
