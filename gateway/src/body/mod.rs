//! What watches bodies on their way: requests against limits, answers for their end.

mod request;
mod tracked;

pub(crate) use request::{BodyLimits, BodyVerdict, BodyWatch, RequestBody};
pub(crate) use tracked::Tracked;
