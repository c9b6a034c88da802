//! What a client's bytes may be where HTTP/1.1 is spoken to strangers: the one place that decides it, for every listener.
//!
//! The parser behind takes more than is safe: two programs that read one stream differently can be played off against each
//! other (request smuggling). So lines that end with a line feed alone, and heads whose framing can be read in two ways,
//! are refused before they reach it.

mod checked;
mod scanner;
mod violation;

pub use checked::{Checked, Refuse, Refused};
pub use scanner::{Refusal, RequestScanner};
pub use violation::Violation;
