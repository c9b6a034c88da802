//! From an image reference to verified component bytes.
//!
//! It keeps images in a local OCI image layout, writes components in the CNCF Wasm layout, checks
//! every digest before it hands out a byte, and says what a file is that is not a component. It does
//! not run or compile anything. The calls of the store block on the disk and belong off the threads that
//! serve requests; those of [`Registries`] wait on the network and do not block.

mod access;
mod blobs;
mod description;
mod descriptors;
mod divided;
mod error;
pub mod hosted;
mod incoming;
mod index;
mod inspect;
mod keyring;
mod lookup;
mod manifest;
mod producers;
mod reference;
mod remote;
mod reserve;
mod signature;
mod store;

pub use access::{Access, DockerConfig};
pub use blobs::{MAX_COMPONENT_BYTES, MAX_MANIFEST_BYTES, digest_of};
pub use description::{Description, Language, describe};
pub use divided::{Code, Divided, MEMORY_MARK_BYTES, Memory, divide, memory_mark, variable_mark};
pub use error::ImageError;
pub use inspect::{ComponentInfo, NotAComponent, inspect};
pub use manifest::check_manifest;
pub use producers::answers_once;
pub use reference::ImageReference;
#[cfg(debug_assertions)]
pub use remote::serve_pull_after;
pub use remote::{
    Progress, PullNeeds, Puller, Registries, Request, Step, TransferLimits, serve_pull,
    settings::{RegistryHost, RegistrySettings},
};
pub use reserve::{BelowReserve, DiskReserve, RESERVE_FLAG};
pub use signature::{Form, InvalidKey, SigningKey, VerifyingKeys};
pub use store::{Component, Image, ImageStore};
