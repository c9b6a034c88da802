//! How many files and connections this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of the descriptors, this part is kept from clients' connections, within bounds.
const RESERVED_PART: u64 = 8;
const LEAST_RESERVED: u64 = 32;
const MOST_RESERVED: u64 = 1024;

/// Raises what this process may have to the most that it may raise it to. To be called first, before a sandbox is entered.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    // What cannot be raised stays as it is: there is a reserve in any case.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// How many descriptors there may be while clients' connections are accepted. The others are for the API, sessions, workers and files.
pub(crate) fn for_connections() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let reserved = (limit / RESERVED_PART).clamp(LEAST_RESERVED, MOST_RESERVED).min(limit / 2);
    usize::try_from(limit - reserved).unwrap_or(usize::MAX)
}
