//! Files and directories that hold keys, Secrets or guests' data, and are for one user alone: 0600 and 0700, whatever the
//! umask is. Everything of Sampan that makes such a file makes it here.

mod claim;
mod write;

pub use claim::{Exposed, Refused, claim};
pub use write::{create_dir, write, write_new};
