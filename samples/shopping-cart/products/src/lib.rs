//! The catalogue of the shop.
//!
//! `GET /products` lists everything, `GET /products/{id}` is one product. What is sold is built in, unless the
//! configuration has a `CATALOGUE`.

mod catalogue;

use shop::{ApiError, Catalogue, json};
use wstd::http::{Body, Error, Method, Request, Response, StatusCode};

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "sampan:guest/capabilities", generate_all });
}

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    Ok(answer(&request).unwrap_or_else(ApiError::into_response))
}

fn answer(request: &Request<Body>) -> Result<Response<Body>, ApiError> {
    let path: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
    match path.as_slice() {
        ["products"] => {
            must_read(request)?;
            Ok(json(StatusCode::OK, &load()?))
        }
        ["products", id] => {
            must_read(request)?;
            let product = load()?.products.into_iter().find(|product| product.id == *id);
            Ok(json(StatusCode::OK, &product.ok_or_else(|| ApiError::not_found(format!("product `{id}`")))?))
        }
        ["healthz"] => Ok(json(StatusCode::OK, &load()?.products.len())),
        _ => Err(ApiError::not_found(format!("path {}", request.uri().path()))),
    }
}

fn must_read(request: &Request<Body>) -> Result<(), ApiError> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(ApiError::method_not_allowed("GET, HEAD")),
    }
}

fn load() -> Result<Catalogue, ApiError> {
    let currency = config("CURRENCY")?.unwrap_or_else(|| catalogue::CURRENCY.to_owned());
    let products = match config("CATALOGUE")? {
        Some(text) => {
            catalogue::parse(&text).map_err(|why| ApiError::internal("the configured CATALOGUE is wrong", why))?
        }
        None => catalogue::built_in(),
    };
    Ok(Catalogue { currency, products })
}

fn config(key: &str) -> Result<Option<String>, ApiError> {
    bindings::wasi::config::store::get(key)
        .map_err(|error| ApiError::internal("the configuration cannot be read", error))
}
