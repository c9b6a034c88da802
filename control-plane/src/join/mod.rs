//! Join tokens: what a worker or a gateway of another machine shows once, to be given a certificate.

mod routes;
mod tokens;

pub use tokens::{JoinRefused, JoinTokens};

pub(crate) use routes::router;
