//! What the images of this installation are used for, and the removal of those that are not.

mod collection;
mod routes;
mod usage;

pub(crate) use collection::Images;
pub(crate) use routes::router;
