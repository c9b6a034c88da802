//! What the three services of the shop say to each other: products, carts, labels, money, errors,
//! and how they read and write JSON over HTTP.
//!
//! It holds no page, no catalogue and no cart: those are the services' own.

mod cart;
mod client;
mod error;
mod label;
mod money;
mod product;
mod server;

pub use cart::{CartView, Item, ItemChange, LabelTotal, NewItem};
pub use client::{Call, CallError, Reply};
pub use error::{ApiError, ErrorBody, ErrorDetail};
pub use label::{Label, Labels, MAX_LABELS};
pub use money::format_money;
pub use product::{Catalogue, Product};
pub use server::{MAX_BODY_BYTES, json, read_body, read_json};
