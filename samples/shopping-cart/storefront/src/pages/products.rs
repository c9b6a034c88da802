use std::fmt::Write;

use maud::{Markup, html};
use shop::{CartView, Catalogue, Product, format_money};

use super::layout::{Shop, page};

/// All products, each with a form to add it. `added` is the one that just was.
pub(crate) fn products(shop: &Shop, catalogue: &Catalogue, cart: Option<&CartView>, added: Option<&str>) -> String {
    let content = html! {
        section.hero {
            h1 { (shop.name) }
            p.lead { (shop.tagline) }
        }
        @if cart.is_none() {
            p.notice.warning role="status" { "Carts cannot be reached at the moment. Have a look around meanwhile." }
        }
        ul.grid role="list" {
            @for product in &catalogue.products { (card(product, &catalogue.currency, added == Some(product.id.as_str()))) }
        }
    };
    page(shop, "Products", cart, content)
}

fn card(product: &Product, currency: &str, added: bool) -> Markup {
    let field = |name: &str| format!("{name}-{}", product.id);
    html! {
        li.card #(product.id) {
            @if added {
                p.notice role="status" { span { "It is in your cart." } a href="/cart" { "Go to the cart" } }
            }
            img src=(data_url(&product.picture)) alt="" width="320" height="240" loading="lazy";
            div.about {
                h2 { (product.name) }
                p { (product.description) }
                p.price { (format_money(product.price_cents, currency)) }
            }
            form method="post" action="/cart/items" {
                input type="hidden" name="product" value=(product.id);
                div.field.number {
                    label for=(field("quantity")) { "Quantity" }
                    input id=(field("quantity")) type="number" name="quantity" value="1" min="1" max="999" required inputmode="numeric";
                }
                div.field {
                    label for=(field("label")) { "For " span.optional { "optional" } }
                    (for_field(&field("label"), ""))
                }
                button type="submit" { "Add to cart" span.unseen { ": " (product.name) } }
            }
        }
    }
}

/// The field for what an item is for.
pub(super) fn for_field(id: &str, value: &str) -> Markup {
    html! {
        input id=(id) type="text" name="label" value=(value) placeholder="Anna, or a party" maxlength="127" autocomplete="off"
            pattern=r"[A-Za-z0-9_.\/\-=, ]*" title="Whom or what it is for, in plain letters and digits: Anna, or summer party";
    }
}

/// An SVG as the address of a picture, in which no script can run.
fn data_url(svg: &str) -> String {
    let mut url = "data:image/svg+xml,".to_owned();
    for byte in svg.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'=' | b':' | b'/' | b',' => {
                url.push(byte.into());
            }
            _ => {
                let _ = write!(url, "%{byte:02X}");
            }
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let evil = "<script>alert('x')</script>\"";
        let product = Product {
            id: evil.to_owned(),
            name: evil.to_owned(),
            description: evil.to_owned(),
            price_cents: 1,
            picture: evil.to_owned(),
        };
        let html = card(&product, evil, true).into_string();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;alert('x')&lt;/script&gt;&quot;"), "{html}");
    }

    #[test]
    fn a_picture_is_nothing_but_its_own_address() {
        assert_eq!(data_url("<svg a=\"b\"/>"), "data:image/svg+xml,%3Csvg%20a=%22b%22/%3E");
    }
}
