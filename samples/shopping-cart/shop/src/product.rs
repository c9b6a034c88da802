use serde::{Deserialize, Serialize};

/// Everything that can be bought, `GET /products`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Catalogue {
    /// ISO 4217, such as `EUR`. All prices are in it.
    pub currency: String,
    pub products: Vec<Product>,
}

/// One product, `GET /products/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    pub id: String,
    pub name: String,
    pub description: String,
    pub price_cents: u64,
    /// An SVG document.
    #[serde(default)]
    pub picture: String,
}
