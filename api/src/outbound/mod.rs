//! Hosts outside that guests are granted, and the way to them.

mod address;
mod connect;
mod grants;

pub use connect::{CONNECT_TIMEOUT, Connect, ConnectError};
pub use grants::{InvalidGrant, OutboundGrants, Reach, parse_address};
