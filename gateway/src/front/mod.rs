//! From a socket to a routed request: connections, their time limits, and what is done to each request.

mod answer;
mod connection;
mod executor;
mod io;
mod linger;
mod protocol;
mod received;
mod watch;

pub(crate) use answer::{Door, Opens};
pub(crate) use connection::{Admitted, Hall, admit, serve};
