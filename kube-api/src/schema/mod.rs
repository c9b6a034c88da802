//! The schemas of all kinds, as data: their fields, types, ways of merging, numbers in protobuf, and what each is for.
//!
//! They are written in the files of `schemas/`, one for each version of a group. A new kind is a file there, or some lines
//! in one, and a line in [`FILES`].

mod notation;
mod tree;

#[cfg(test)]
mod tests;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::LazyLock,
};

pub use notation::Unreadable;
pub use tree::{Elements, Field, Group, Gvk, Member, Message, MessageId, Patch, Schemas, Shape, Treatment};

/// Where names are looked up that a file does not have: those of all groups, and those of Pods.
const FILES: &[&str] = &[
    include_str!("../../schemas/meta.v1.txt"),
    include_str!("../../schemas/core.v1.txt"),
    include_str!("../../schemas/apiextensions.v1.txt"),
    include_str!("../../schemas/apps.v1.txt"),
    include_str!("../../schemas/authentication.v1.txt"),
    include_str!("../../schemas/authorization.v1.txt"),
    include_str!("../../schemas/autoscaling.v1.txt"),
    include_str!("../../schemas/autoscaling.v2.txt"),
    include_str!("../../schemas/batch.v1.txt"),
    include_str!("../../schemas/coordination.v1.txt"),
    include_str!("../../schemas/discovery.v1.txt"),
    include_str!("../../schemas/events.v1.txt"),
    include_str!("../../schemas/networking.v1.txt"),
    include_str!("../../schemas/policy.v1.txt"),
    include_str!("../../schemas/rbac.v1.txt"),
    include_str!("../../schemas/scheduling.v1.txt"),
    include_str!("../../schemas/storage.v1.txt"),
];

static SERVED: LazyLock<Schemas> =
    LazyLock::new(|| Schemas::read(FILES).expect("the schemas of this program are right, as a test proves"));

/// The schemas of all kinds of this program.
pub fn served() -> &'static Schemas {
    &SERVED
}

/// A number that is another one when these schemas are others.
pub fn fingerprint() -> u64 {
    static FINGERPRINT: LazyLock<u64> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        FILES.hash(&mut hasher);
        hasher.finish()
    });
    *FINGERPRINT
}
