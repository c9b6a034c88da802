//! The pages, each a function from data to HTML. maud escapes everything that is put in.

mod cart;
mod layout;
mod products;

pub(crate) use cart::{cart, cart_url};
pub(crate) use layout::{CONTENT_SECURITY_POLICY, Shop, error};
pub(crate) use products::products;
