use maud::{Markup, html};
use shop::{CartView, Item, Label, LabelTotal, format_money};

use super::{
    layout::{Shop, page},
    products::for_field,
};
use crate::forms::{shown, written};

/// The cart, with its filter by label.
pub(crate) fn cart(shop: &Shop, cart: &CartView) -> String {
    let content = html! {
        h1 { "Your cart" }
        @if cart.cart_quantity == 0 {
            section.message {
                p.lead { "It is empty." }
                p.actions { a.button href="/" { "Look around" } }
            }
        } @else {
            @if !cart.labels.is_empty() || !cart.filter.is_empty() { (chips(cart)) }
            div.columns {
                ul.items role="list" {
                    @for item in &cart.items { (row(item, cart)) }
                    @if cart.items.is_empty() { li.none { "Nothing in the cart is for that." } }
                }
                (summary(cart))
            }
        }
    };
    page(shop, "Cart", Some(cart), content)
}

/// The address of the cart with this filter.
pub(crate) fn cart_url(filter: &[Label]) -> String {
    url_of(filter.iter().map(Label::to_string))
}

fn url_of(labels: impl Iterator<Item = String>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for label in labels {
        query.append_pair("label", &label);
    }
    let query = query.finish();
    if query.is_empty() { "/cart".to_owned() } else { format!("/cart?{query}") }
}

fn chips(cart: &CartView) -> Markup {
    html! {
        nav.chips aria-label="Show only what is" {
            a.chip href="/cart" aria-current=[cart.filter.is_empty().then_some("true")] { "All" }
            @for total in &cart.labels {
                @let chosen = cart.filter.contains(&total.label);
                a.chip href=(toggled(cart, &total.label)) aria-current=[chosen.then_some("true")] {
                    (shown(&total.label)) span.count { (total.quantity) }
                }
            }
        }
    }
}

/// The filter with this label added, or taken away if it is in it.
fn toggled(cart: &CartView, label: &String) -> String {
    let others = cart.filter.iter().filter(|chosen| *chosen != label).cloned();
    url_of(others.chain((!cart.filter.contains(label)).then(|| label.clone())))
}

fn row(item: &Item, cart: &CartView) -> Markup {
    let field = |name: &str| format!("{name}-{}", item.id);
    html! {
        li.item {
            div.what {
                h2 { (item.name) }
                p.each { (format_money(item.price_cents, &cart.currency)) " each" }
                @for (key, value) in &item.labels { span.tag { (shown(&format!("{key}={value}"))) } " " }
            }
            form method="post" action=(format!("/cart/items/{}", item.id)) {
                @for label in &cart.filter { input type="hidden" name="filter" value=(label); }
                div.field.number {
                    label for=(field("quantity")) { "Quantity" span.unseen { " of " (item.name) } }
                    input id=(field("quantity")) type="number" name="quantity" value=(item.quantity) min="1" max="999" required inputmode="numeric";
                }
                div.field {
                    label for=(field("label")) { span.unseen { (item.name) " is " } "For" }
                    (for_field(&field("label"), &written(&item.labels)))
                }
                button.quiet type="submit" name="action" value="change" { "Update" span.unseen { " " (item.name) } }
                button.plain type="submit" name="action" value="remove" formnovalidate { "Remove" span.unseen { " " (item.name) } }
            }
            p.sum { (format_money(item.total_cents(), &cart.currency)) }
        }
    }
}

fn summary(cart: &CartView) -> Markup {
    html! {
        aside.summary aria-label="Summary" {
            @if !cart.labels.is_empty() {
                h2 { "What it is for" }
                dl {
                    @for LabelTotal { label, total_cents, .. } in &cart.labels {
                        dt { (shown(label)) } dd { (format_money(*total_cents, &cart.currency)) }
                    }
                }
            }
            dl.total {
                @if !cart.filter.is_empty() {
                    dt { "Shown" } dd { (format_money(cart.total_cents, &cart.currency)) }
                }
                dt { "Total" } dd { (format_money(cart.cart_total_cents, &cart.currency)) }
            }
            a.button.quiet href="/" { "Continue shopping" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(filter: &[&str]) -> CartView {
        CartView {
            currency: "EUR".to_owned(),
            items: Vec::new(),
            filter: filter.iter().map(|label| label.to_string()).collect(),
            total_cents: 0,
            cart_total_cents: 0,
            cart_quantity: 0,
            labels: Vec::new(),
        }
    }

    #[test]
    fn a_chip_adds_its_label_to_the_filter_and_takes_it_away_again() {
        let party = "for=party".to_owned();
        assert_eq!(toggled(&view(&[]), &party), "/cart?label=for%3Dparty");
        assert_eq!(toggled(&view(&["for=party"]), &party), "/cart");
        assert_eq!(toggled(&view(&["a=b"]), &party), "/cart?label=a%3Db&label=for%3Dparty");
    }

    #[test]
    fn what_an_item_is_for_is_in_a_field_that_changes_it() {
        let item = Item {
            id: "1".to_owned(),
            product: "tea".to_owned(),
            name: "Tea".to_owned(),
            price_cents: 1,
            quantity: 1,
            labels: [("for".to_owned(), "party".to_owned())].into(),
        };
        let html = row(&item, &view(&[])).into_string();
        assert!(html.contains("name=\"label\" value=\"party\""), "{html}");
        assert!(html.contains("for party") && !html.contains("for=party"), "{html}");
    }

    #[test]
    fn names_in_the_cart_are_escaped() {
        let item = Item {
            id: "1".to_owned(),
            product: "x".to_owned(),
            name: "<b>".to_owned(),
            price_cents: 1,
            quantity: 1,
            labels: Default::default(),
        };
        assert!(!row(&item, &view(&[])).into_string().contains("<b>"));
    }
}
