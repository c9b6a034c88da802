//! What stands beneath everything that answers at the API's address: connections over TLS and the seats that they have, tokens,
//! and the log of who asked for what.
//!
//! It answers no request itself: whoever serves says what does, and in which form mistakes of HTTP are told.

pub mod audit;
pub mod read_on;

mod accounts;
mod certificates;
mod failures;
mod peer;
mod reference;
mod seats;
mod server;
mod token;
mod token_file;
mod uid;
mod user;
mod users;

pub use accounts::{Account, Accounts, ISSUER};
pub use certificates::{CertificateError, Certificates};
pub use reference::Reference;
pub use seats::ApiLimits;
pub use server::serve;
pub use token::{Access, Token, not_noted};
pub use token_file::{TokenFileError, read_token_file};
pub use uid::new_uid;
pub use user::{AUTHENTICATED, Impersonated, MASTERS, User, bearer};
pub use users::{Holder, TokenDigest, Users, digest};
