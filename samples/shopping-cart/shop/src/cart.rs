use serde::{Deserialize, Serialize};

use crate::Labels;

/// A cart, or the part of it that a filter lets through: `GET /cart`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CartView {
    pub currency: String,
    /// Those that carry every label of the filter.
    pub items: Vec<Item>,
    /// The labels that were asked for, each `key=value`.
    pub filter: Vec<String>,
    /// Of the items shown.
    pub total_cents: u64,
    /// Of the whole cart, as are the figures below.
    pub cart_total_cents: u64,
    pub cart_quantity: u64,
    pub labels: Vec<LabelTotal>,
}

/// What all items with one label come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelTotal {
    /// `key=value`.
    pub label: String,
    pub items: u64,
    pub quantity: u64,
    pub total_cents: u64,
}

/// One line of a cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Unique within the cart.
    pub id: String,
    pub product: String,
    pub name: String,
    /// For one piece, as it was when the item was added.
    pub price_cents: u64,
    pub quantity: u32,
    pub labels: Labels,
}

impl Item {
    pub fn total_cents(&self) -> u64 {
        self.price_cents.saturating_mul(self.quantity.into())
    }
}

/// What `POST /cart/items` takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    pub product: String,
    #[serde(default = "one")]
    pub quantity: u32,
    #[serde(default)]
    pub labels: Labels,
}

fn one() -> u32 {
    1
}

/// What `PATCH /cart/items/{id}` takes: what is left out stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
}
