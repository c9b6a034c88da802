//! The pages of the shop: HTML from the server, forms, no scripts.
//!
//! It keeps nothing itself. Products come from the service `products`, carts from `shopping-cart`, whose cookie it
//! passes on both ways. That cookie is `SameSite=Lax`, so forms of other sites arrive without it and reach no
//! cart: no further token is needed. After each change the browser is sent on to a page that it can reload.

mod backend;
mod forms;
mod pages;

use http::header;
use shop::ApiError;
use wstd::http::{Body, Error, HeaderValue, Method, Request, Response, StatusCode};

use backend::Cookies;

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "sampan:guest/capabilities", generate_all });
}

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let mut cookies = Cookies::of(request.headers());
    let mut response = match answer(request, &mut cookies).await {
        Ok(response) => response,
        Err(error) => page(error.status, pages::error(&pages::Shop::configured(), &error)),
    };
    cookies.hand_back(response.headers_mut());
    Ok(response)
}

async fn answer(request: Request<Body>, cookies: &mut Cookies) -> Result<Response<Body>, ApiError> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let shop = pages::Shop::configured();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (segments.as_slice(), request.method()) {
        ([""], &Method::GET | &Method::HEAD) => {
            let (catalogue, cart) = (backend::catalogue().await?, backend::cart(cookies, &[]).await);
            // The shop can be looked at while carts cannot be had.
            Ok(page(
                StatusCode::OK,
                pages::products(&shop, &catalogue, cart.ok().as_ref(), forms::added(&query).as_deref()),
            ))
        }
        (["cart"], &Method::GET | &Method::HEAD) => {
            let cart = backend::cart(cookies, &forms::labels(&query)).await?;
            Ok(page(StatusCode::OK, pages::cart(&shop, &cart)))
        }
        (["cart", "items"], &Method::POST) => {
            let new = forms::new_item(&form(request).await?)?;
            backend::add(cookies, &new).await?;
            Ok(see_other(&format!("/?added={}#{}", new.product, new.product)))
        }
        (["cart", "items", id], &Method::POST) => {
            let form = form(request).await?;
            match forms::item_action(&form)? {
                forms::ItemAction::Change(change) => backend::change(cookies, id, &change).await?,
                forms::ItemAction::Remove => backend::remove(cookies, id).await?,
            }
            Ok(see_other(&pages::cart_url(&forms::filter(&form))))
        }
        (["healthz"], _) => Ok(Response::new(Body::empty())),
        ([""] | ["cart"], _) => Err(ApiError::method_not_allowed("GET, HEAD")),
        (["cart", "items"] | ["cart", "items", _], _) => Err(ApiError::method_not_allowed("POST")),
        _ => Err(ApiError::not_found("such page")),
    }
}

async fn form(request: Request<Body>) -> Result<Vec<(String, String)>, ApiError> {
    let body = shop::read_body(request, "application/x-www-form-urlencoded").await?;
    Ok(form_urlencoded::parse(&body).into_owned().collect())
}

fn page(status: StatusCode, html: String) -> Response<Body> {
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, "text/html; charset=utf-8");
    // A page shows somebody's cart.
    set(header::CACHE_CONTROL, "no-store");
    set(header::CONTENT_SECURITY_POLICY, pages::CONTENT_SECURITY_POLICY);
    set(header::REFERRER_POLICY, "same-origin");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

fn see_other(url: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::try_from(url).unwrap_or(HeaderValue::from_static("/cart"));
    response.headers_mut().insert(header::LOCATION, location);
    response
}
