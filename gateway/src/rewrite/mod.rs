//! What changes in a request's and an answer's head on the way through.

mod authority;
mod forwarded;
mod headers;
mod trace;

pub(crate) use authority::{NO_HOST, authority, for_guest};
pub(crate) use forwarded::{Peer, forwarded};
pub(crate) use headers::{Hops, join_cookies, strip_request, strip_response, trim_values, upgrades};
pub(crate) use trace::ensure_traceparent;
