use serde::Deserialize;
use shop::{ApiError, Call, CallError};
use wstd::http::{Method, StatusCode};

/// What a cart needs to know of a product.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Offer {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) price_cents: u64,
}

/// Asks the service `products`.
pub(crate) async fn product(id: &str) -> Result<Offer, ApiError> {
    let unknown = || ApiError::invalid(format!("product: there is no product `{id}`"));
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(unknown());
    }
    let reply = Call::new(Method::GET, format!("http://products/products/{id}")).send().await;
    match reply.and_then(|reply| reply.json()) {
        Ok(offer) => Ok(offer),
        Err(CallError::Refused(error)) if error.status == StatusCode::NOT_FOUND => Err(unknown()),
        Err(error) => {
            eprintln!("products does not answer: {error:?}");
            Err(ApiError::unavailable("ProductsUnavailable", "the catalogue does not answer; nothing was added"))
        }
    }
}
