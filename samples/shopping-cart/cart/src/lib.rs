//! The carts of the shop.
//!
//! | path | does |
//! | --- | --- |
//! | `GET /cart?label=key=value` | the cart, or its items with these labels, and totals per label |
//! | `POST /cart/items` | adds `{"product","quantity","labels"}` |
//! | `PATCH /cart/items/{id}` | changes `{"quantity","labels"}` |
//! | `DELETE /cart/items/{id}` | removes |
//!
//! A cookie tells carts apart. Price and name of a product are those of the service `products` at the moment
//! it is added; while that does not answer, nothing can be added, and everything else works.

mod cart;
mod catalogue;
mod session;
mod store;

use http::header;
use shop::{ApiError, CartView, Item, ItemChange, Label, NewItem, json, read_json};
use wstd::http::{Body, Error, HeaderValue, Method, Request, Response, StatusCode};

use cart::Cart;
use session::CartId;

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "sampan:guest/capabilities", generate_all });
}

/// The currency if none is configured.
const CURRENCY: &str = "EUR";

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    Ok(answer(request).await.unwrap_or_else(ApiError::into_response))
}

async fn answer(request: Request<Body>) -> Result<Response<Body>, ApiError> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (segments.as_slice(), request.method()) {
        (["cart"], &Method::GET | &Method::HEAD) => Ok(json(StatusCode::OK, &show(&request)?)),
        (["cart"], _) => Err(ApiError::method_not_allowed("GET, HEAD")),
        (["cart", "items"], &Method::POST) => add(request).await,
        (["cart", "items"], _) => Err(ApiError::method_not_allowed("POST")),
        (["cart", "items", id], &Method::PATCH) => Ok(json(StatusCode::OK, &change(request, id).await?)),
        (["cart", "items", id], &Method::DELETE) => remove(&request, id).await,
        (["cart", "items", _], _) => Err(ApiError::method_not_allowed("PATCH, DELETE")),
        (["healthz"], _) => store::check().map(|()| json(StatusCode::OK, &"ok")),
        _ => Err(ApiError::not_found(format!("path {path}"))),
    }
}

fn show(request: &Request<Body>) -> Result<CartView, ApiError> {
    let filter = filter(request.uri().query().unwrap_or_default())?;
    let currency = bindings::wasi::config::store::get("CURRENCY").ok().flatten();
    let cart = match CartId::of(request.headers()) {
        Some(id) => store::read(&id)?,
        None => Cart::default(),
    };
    Ok(cart.view(&currency.unwrap_or_else(|| CURRENCY.to_owned()), &filter))
}

fn filter(query: &str) -> Result<Vec<Label>, ApiError> {
    let bad = |why| ApiError::new(StatusCode::BAD_REQUEST, "BadRequest", why);
    form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| match name.as_ref() {
            "label" => value.parse().map_err(bad),
            other => Err(bad(format!("there is no query parameter `{other}`; there is `label`"))),
        })
        .collect()
}

async fn add(request: Request<Body>) -> Result<Response<Body>, ApiError> {
    let known = CartId::of(request.headers());
    let new: NewItem = read_json(request).await?;
    cart::check(&new)?;
    let product = catalogue::product(&new.product).await?;
    let id = known.clone().unwrap_or_else(CartId::random);
    let item: Item = store::update(&id, |cart| cart.add(&product, &new)).await?;

    let mut response = json(StatusCode::CREATED, &item);
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::try_from(format!("/cart/items/{}", item.id)) {
        headers.insert(header::LOCATION, location);
    }
    if known.is_none() {
        headers.insert(header::SET_COOKIE, id.set_cookie());
    }
    Ok(response)
}

async fn change(request: Request<Body>, item: &str) -> Result<Item, ApiError> {
    let id = CartId::of(request.headers());
    let change: ItemChange = read_json(request).await?;
    cart::check_change(&change)?;
    let id = id.ok_or_else(|| cart::no_item(item))?;
    store::update(&id, |cart| cart.change(item, &change)).await
}

async fn remove(request: &Request<Body>, item: &str) -> Result<Response<Body>, ApiError> {
    let id = CartId::of(request.headers()).ok_or_else(|| cart::no_item(item))?;
    store::update(&id, |cart| cart.remove(item)).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
