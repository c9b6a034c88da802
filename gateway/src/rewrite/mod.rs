//! What changes in a request's and an answer's head on the way through.

mod authority;
mod headers;
mod trace;

pub(crate) use authority::{NO_HOST, authority, for_guest};
pub(crate) use headers::{Hops, forwarded, join_cookies, strip_request, strip_response, upgrades};
pub(crate) use trace::ensure_traceparent;
