//! The services behind the pages.

use http::header::{COOKIE, SET_COOKIE};
use shop::{ApiError, Call, CallError, CartView, Catalogue, ItemChange, Label, NewItem, Reply};
use wstd::http::{HeaderMap, HeaderValue, Method};

/// The cookies of a request, and those that the answer is to set.
pub(crate) struct Cookies {
    sent: Option<HeaderValue>,
    to_set: Vec<HeaderValue>,
}

impl Cookies {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self { sent: headers.get(COOKIE).cloned(), to_set: Vec::new() }
    }

    fn keep(&mut self, reply: &Reply) {
        self.to_set.extend(reply.headers.get_all(SET_COOKIE).iter().cloned());
    }

    pub(crate) fn hand_back(self, headers: &mut HeaderMap) {
        for cookie in self.to_set {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

pub(crate) async fn catalogue() -> Result<Catalogue, ApiError> {
    let reply = Call::new(Method::GET, "http://products/products").send().await;
    reply.and_then(|reply| reply.json()).map_err(|error| explain("the catalogue", error))
}

pub(crate) async fn cart(cookies: &Cookies, filter: &[Label]) -> Result<CartView, ApiError> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for label in filter {
        query.append_pair("label", &label.to_string());
    }
    let url = format!("http://shopping-cart/cart?{}", query.finish());
    let reply = Call::new(Method::GET, url).cookie(cookies.sent.as_ref()).send().await;
    reply.and_then(|reply| reply.json()).map_err(|error| explain("your cart", error))
}

pub(crate) async fn add(cookies: &mut Cookies, new: &NewItem) -> Result<(), ApiError> {
    change_cart(cookies, Call::new(Method::POST, "http://shopping-cart/cart/items").json(new)).await
}

pub(crate) async fn change(cookies: &mut Cookies, item: &str, change: &ItemChange) -> Result<(), ApiError> {
    change_cart(cookies, Call::new(Method::PATCH, item_url(item)).json(change)).await
}

pub(crate) async fn remove(cookies: &mut Cookies, item: &str) -> Result<(), ApiError> {
    match change_cart(cookies, Call::new(Method::DELETE, item_url(item))).await {
        // Removed already, in another window perhaps: that is what was wanted.
        Err(error) if error.reason == "NotFound" => Ok(()),
        other => other,
    }
}

fn item_url(item: &str) -> String {
    format!("http://shopping-cart/cart/items/{item}")
}

async fn change_cart(cookies: &mut Cookies, call: Call) -> Result<(), ApiError> {
    let reply = call.cookie(cookies.sent.as_ref()).send().await.map_err(|error| explain("your cart", error))?;
    cookies.keep(&reply);
    Ok(())
}

fn explain(what: &str, error: CallError) -> ApiError {
    match error {
        CallError::Refused(error) => error,
        CallError::Unreachable(why) => {
            eprintln!("{what} does not answer: {why}");
            ApiError::unavailable("Unavailable", format!("{what} cannot be reached at the moment"))
        }
    }
}
