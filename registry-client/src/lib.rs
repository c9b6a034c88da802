//! From an image reference to verified component bytes.
//!
//! It keeps images in a local OCI image layout, writes components in the CNCF Wasm layout, checks
//! every digest before it hands out a byte, and says what a file is that is not a component. It does
//! not talk to registries yet, does not run or compile anything, and starts no task: all calls block
//! on the disk and belong off the threads that serve requests.

mod blobs;
mod error;
mod index;
mod inspect;
mod manifest;
mod reference;
mod store;

pub use blobs::MAX_COMPONENT_BYTES;
pub use error::ImageError;
pub use inspect::{ComponentInfo, NotAComponent, inspect};
pub use reference::ImageReference;
pub use store::{Component, Image, ImageStore};
