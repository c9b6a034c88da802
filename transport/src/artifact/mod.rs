//! Compiled components for a process that may open no file of others: it asks who started it, which has them and knows what runs in
//! it, and is passed open files.

mod ask;
mod give;

#[cfg(test)]
mod tests;

pub use ask::AskedArtifacts;
pub use give::{ArtifactDesk, Give};

use api::{
    Digest,
    replica::{Failure, FailureReason},
};

/// Artifacts that one process asks for at a time. Beyond it, requests wait where they are made.
const AT_ONCE: usize = 64;
/// Of these, for one namespace: each may wait for as long as a compile takes.
const AT_ONCE_OF_NAMESPACE: usize = AT_ONCE / 4 * 3;
/// The longest answer; what would be longer is cut.
const MAX_ANSWER_BYTES: usize = 32 << 10;
/// The longest question: a digest and a namespace.
const MAX_ASKED_BYTES: usize = 256;
/// How an answer is that a file comes with.
const OPENED: &str = "opened";

/// What is answered; the file, if there is one, comes beside it.
fn answer<T>(given: &Result<T, Failure>) -> String {
    let mut answer = match given {
        Ok(_) => OPENED.to_owned(),
        Err(Failure { reason, message }) => format!("{} {message}", reason.as_str()),
    };
    answer.truncate(answer.floor_char_boundary(MAX_ANSWER_BYTES));
    answer
}

/// What was answered, with what came beside it.
fn parse_answer<T>(answer: &str, file: Option<T>) -> Result<T, Failure> {
    match (answer, file) {
        (OPENED, Some(file)) => Ok(file),
        (refusal, _) => {
            let (reason, message) = refusal.split_once(' ').unwrap_or((refusal, "it was answered with nothing"));
            Err(Failure { reason: FailureReason::parse(reason), message: message.to_owned() })
        }
    }
}

fn asked(namespace: &str, image: &Digest) -> String {
    format!("{image} {namespace}")
}

fn parse_asked(asked: &[u8]) -> Option<(&str, Digest)> {
    let (image, namespace) = std::str::from_utf8(asked).ok()?.split_once(' ')?;
    Some((namespace, image.parse().ok()?))
}
