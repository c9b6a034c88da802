//! Why a registry refused, in its own words: those of the distribution specification, or what else it and the proxies before it
//! say.

use reqwest::{Response, header};
use serde_json::Value;

use super::registry::{MAX_SMALL_ANSWER_BYTES, read};

/// Characters of one error, or of an answer that is none of the specification.
const MAX_WORDS: usize = 300;
/// Errors of one answer that are told.
const MAX_ERRORS: usize = 4;

/// Fields in which other errors say what happened.
const MESSAGES: [&str; 5] = ["message", "error_description", "error", "detail", "details"];

/// Who answered which status, and what it said.
pub(super) async fn refusal(answer: Response) -> String {
    let (status, host) = (answer.status(), answer.url().host_str().unwrap_or_default().to_owned());
    let is_page =
        answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let body = read(answer, MAX_SMALL_ANSWER_BYTES, "the error").await.unwrap_or_default();
    match words(&body).filter(|_| !is_page) {
        Some(words) => format!("{host} answers {status}: {words}"),
        None => format!("{host} answers {status}"),
    }
}

fn words(body: &[u8]) -> Option<String> {
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        let text = std::str::from_utf8(body).ok()?;
        return short(text.lines().map(str::trim).find(|line| !line.is_empty())?);
    };
    let errors = json["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let said: Vec<String> = errors.iter().filter_map(error).take(MAX_ERRORS).collect();
    if said.is_empty() { short(message(&json)?) } else { Some(said.join("; ")) }
}

/// One error of the specification, whose fields some registries leave out, or give as numbers.
fn error(said: &Value) -> Option<String> {
    let code = match &said["code"] {
        Value::String(code) => code.clone(),
        Value::Number(code) => code.to_string(),
        _ => String::new(),
    };
    let cut = |text: &str| text.chars().filter(|letter| !letter.is_control()).take(MAX_WORDS).collect::<String>();
    match (&*cut(message(said).unwrap_or_default()), &*cut(&code)) {
        ("", "") => None,
        (message, "") => Some(message.to_owned()),
        (message, code) => Some(format!("{message} ({code})").trim_start().to_owned()),
    }
}

fn message(said: &Value) -> Option<&str> {
    MESSAGES.iter().filter_map(|name| said[name].as_str()).chain(said.as_str()).find(|text| !text.is_empty())
}

/// What fits into a line; nothing where it is no text for people.
fn short(text: &str) -> Option<String> {
    let is_markup = text.starts_with('<');
    let readable = !is_markup && !text.is_empty() && text.chars().all(|letter| !letter.is_control());
    readable.then(|| text.chars().take(MAX_WORDS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_is_told_in_whatever_form_it_says_it() {
        for (body, told) in [
            (r#"{"errors":[{"code":"DENIED","message":"no"},{"code":"X","message":"y"}]}"#, Some("no (DENIED); y (X)")),
            (r#"{"errors":[{"code":"DENIED"}]}"#, Some("(DENIED)")),
            (r#"{"errors":[{"code":42,"message":null,"detail":"quota"}]}"#, Some("quota (42)")),
            (r#"{"errors":[{"status":404,"message":"not here"}]}"#, Some("not here")),
            (r#"{"errors":[]}"#, None),
            (r#"{"message":"quota exceeded"}"#, Some("quota exceeded")),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, Some("expired")),
            (r#"{"details":"incorrect username or password"}"#, Some("incorrect username or password")),
            ("\"plain\"", Some("plain")),
            ("quota exceeded for team\nmore", Some("quota exceeded for team")),
            ("<html><title>Blocked</title></html>", None),
            ("\u{1}\u{2}", None),
            (r#"{"errors":[{"message":"a\u001b[31m\nb"}]}"#, Some("a[31mb")),
            ("", None),
        ] {
            assert_eq!(words(body.as_bytes()).as_deref(), told, "{body}");
        }
        let long = "x".repeat(MAX_WORDS * 2);
        let error = format!("{{\"code\":\"{long}\",\"message\":\"{long}\"}}");
        let body = format!("{{\"errors\":[{}]}}", vec![error; 100].join(","));
        let told = words(body.as_bytes()).unwrap();
        assert!(told.len() < MAX_ERRORS * (2 * MAX_WORDS + 10), "{}", told.len());
    }
}
