//! What is asked and answered, as lines.

use api::outbound::{ConnectError, Reach};

/// The longest line that is asked: a host's name has 253 characters at most, and that of a namespace 63.
pub(super) const MAX_ASKED_BYTES: usize = 384;
/// In place of a namespace: it is for the process itself. No namespace is called so.
const NO_GUESTS: &str = "-";
/// The longest line that is answered; what would be longer is cut.
pub(super) const MAX_ANSWER_BYTES: usize = 512;

/// What a process asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) reach: Reach,
    pub(super) port: u16,
    /// The namespace of the guests that it is for.
    pub(super) guests: Option<String>,
    pub(super) host: String,
}

impl Asked {
    /// As a line, if the host may be one at all.
    pub(super) fn line(&self) -> Option<String> {
        let reach = match self.reach {
            Reach::Public => "public",
            Reach::Any => "any",
        };
        let guests = self.guests.as_deref().unwrap_or(NO_GUESTS);
        let line = format!("{reach} {} {guests} {}\n", self.port, self.host);
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
        let may_be_one = is_word(guests) && is_word(&self.host);
        (may_be_one && line.len() <= MAX_ASKED_BYTES).then_some(line)
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let reach = match words.next()? {
            "public" => Reach::Public,
            "any" => Reach::Any,
            _ => return None,
        };
        let port = words.next()?.parse().ok()?;
        let guests = words.next().filter(|guests| !guests.is_empty())?;
        let guests = (guests != NO_GUESTS).then(|| guests.to_owned());
        Some(Self { reach, port, guests, host: words.next().filter(|host| !host.is_empty())?.to_owned() })
    }
}

/// What is answered; the connection, if there is one, comes beside it.
pub(super) fn answer<T>(connected: &Result<T, ConnectError>) -> String {
    let mut line = match connected {
        Ok(_) => "connected ".to_owned(),
        Err(ConnectError::NotGranted) => "not-granted ".to_owned(),
        Err(ConnectError::Prohibited) => "prohibited ".to_owned(),
        Err(ConnectError::Timeout) => "timeout ".to_owned(),
        Err(ConnectError::Name(why)) => format!("name {why}"),
        Err(ConnectError::Refused(why)) => format!("refused {why}"),
        Err(ConnectError::Unanswered(why)) => format!("unanswered {why}"),
    };
    line.truncate(line.floor_char_boundary(MAX_ANSWER_BYTES));
    line
}

/// What was answered, with what came beside it.
pub(super) fn parse_answer<T>(line: &str, connection: Option<T>) -> Result<T, ConnectError> {
    let (kind, why) = line.split_once(' ').unwrap_or((line, ""));
    let why = why.to_owned();
    Err(match (kind, connection) {
        ("connected", Some(connection)) => return Ok(connection),
        ("not-granted", _) => ConnectError::NotGranted,
        ("prohibited", _) => ConnectError::Prohibited,
        ("timeout", _) => ConnectError::Timeout,
        ("name", _) => ConnectError::Name(why),
        ("refused", _) => ConnectError::Refused(why),
        ("unanswered", _) => ConnectError::Unanswered(why),
        _ => ConnectError::Unanswered("the request was not taken".to_owned()),
    })
}
