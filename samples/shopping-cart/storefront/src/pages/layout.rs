use maud::{DOCTYPE, Markup, PreEscaped, html};
use shop::{ApiError, CartView};

use crate::bindings::wasi::config::store;

/// Nothing is loaded from anywhere, and no script runs. Pictures are in the page itself.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("style.css");

/// A sampan under sail.
const LOGO: &str = r#"<svg viewBox="0 0 32 32" width="32" height="32" aria-hidden="true"><path fill="currentColor" d="M17 3v16H5Q8 8 17 3zm2 3q7 5 8 13h-8zM3 22h26q-3 7-8 7H11q-5 0-8-7z"/></svg>"#;

/// What the ConfigMap says of the shop.
pub(crate) struct Shop {
    pub(crate) name: String,
    pub(crate) tagline: String,
}

impl Shop {
    pub(crate) fn configured() -> Self {
        let config = |key, default: &str| store::get(key).ok().flatten().unwrap_or_else(|| default.to_owned());
        Self {
            name: config("SHOP_NAME", "Harbour Goods"),
            tagline: config("SHOP_TAGLINE", "Small things that travelled well."),
        }
    }
}

/// A whole page around its content. Without a cart, none is shown in the head.
pub(crate) fn page(shop: &Shop, title: &str, cart: Option<&CartView>, content: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (shop.name) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to content" }
                header.top {
                    a.brand href="/" { (PreEscaped(LOGO)) span { (shop.name) } }
                    nav aria-label="Shop" {
                        a.basket href="/cart" {
                            "Cart"
                            @if let Some(cart) = cart {
                                span.count { (cart.cart_quantity) span.unseen { " items" } }
                            }
                        }
                    }
                }
                main #content { (content) }
                footer { "Three WebAssembly components, served by Sampan. No scripts, no trackers." }
            }
        }
    }
    .into_string()
}

/// A page for what went wrong.
pub(crate) fn error(shop: &Shop, error: &ApiError) -> String {
    let (title, advice) = match error.status.as_u16() {
        404 => ("Nothing here", "The page may have moved, or the item was removed already."),
        400..=499 => ("That did not work", "Go back, correct it and try again."),
        503 => ("One moment, please", "A part of the shop does not answer. Nothing was lost: try again shortly."),
        _ => ("Something broke", "It is our fault, not yours. Nothing was lost: try again shortly."),
    };
    let content = html! {
        section.message {
            p.code aria-hidden="true" { (error.status.as_u16()) }
            h1 { (title) }
            p.lead { (capitalised(&error.message)) "." }
            p { (advice) }
            p.actions { a.button href="/" { "Back to the shop" } " " a.button.quiet href="/cart" { "To the cart" } }
        }
    };
    page(shop, title, None, content)
}

fn capitalised(text: &str) -> String {
    let mut characters = text.trim_end_matches('.').chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
