//! Which Service a request is for, by host and path or by a name. Pure: no I/O, no clock.

mod directory;
mod ingresses;
mod table;

pub(crate) use directory::{Directory, Listed, NoRoute, Offered, is_this_machine};
pub(crate) use ingresses::Ingresses;
pub(crate) use table::normal_host;
