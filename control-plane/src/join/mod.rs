//! Who may join: tokens, which a worker or a gateway of another machine shows once, and the certificates that they are given,
//! whose names are theirs until they are revoked.

mod authorities;
mod register;
mod routes;
mod tokens;

pub use authorities::{Authorities, TrustedAuthority};
pub(crate) use register::Which;
pub use register::{Admitted, Denied, IssuedCertificate, Register};
pub use tokens::JoinRefused;
pub(crate) use tokens::JoinTokens;

pub(crate) use routes::router;
