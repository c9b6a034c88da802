//! What the forms of the pages send.

use shop::{ApiError, ItemChange, Label, Labels, NewItem};

/// The fields of a form, in their order.
type Form = [(String, String)];

/// What the buttons beside an item of the cart do.
#[derive(Debug)]
pub(crate) enum ItemAction {
    Change(ItemChange),
    Remove,
}

/// The form of a product. The field for a label may be empty.
pub(crate) fn new_item(form: &Form) -> Result<NewItem, ApiError> {
    let labels = match field(form, "label").trim() {
        "" => Labels::new(),
        text => {
            let Label { key, value } = text.parse().map_err(ApiError::invalid)?;
            Labels::from([(key, value)])
        }
    };
    Ok(NewItem { product: field(form, "product").to_owned(), quantity: quantity(form)?, labels })
}

/// The form of an item in the cart, which has two buttons.
pub(crate) fn item_action(form: &Form) -> Result<ItemAction, ApiError> {
    match field(form, "action") {
        "remove" => Ok(ItemAction::Remove),
        "change" => Ok(ItemAction::Change(ItemChange { quantity: Some(quantity(form)?), labels: None })),
        other => Err(ApiError::invalid(format!("there is no action `{other}`"))),
    }
}

/// The filter that the form's page was shown with, to go back to.
pub(crate) fn filter(form: &Form) -> Vec<Label> {
    form.iter().filter(|(name, _)| name == "filter").filter_map(|(_, label)| label.parse().ok()).collect()
}

/// The filter in the URL of the cart. What is no label filters nothing.
pub(crate) fn labels(query: &str) -> Vec<Label> {
    let fields = form_urlencoded::parse(query.as_bytes());
    fields.filter(|(name, _)| name == "label").filter_map(|(_, label)| label.parse().ok()).collect()
}

/// The product that was just added, in the URL of the list.
pub(crate) fn added(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "added").map(|(_, id)| id.into_owned())
}

fn quantity(form: &Form) -> Result<u32, ApiError> {
    let text = field(form, "quantity");
    text.trim()
        .parse()
        .map_err(|_| ApiError::invalid(format!("`{text}` is not a quantity: write a number from 1 to 999")))
}

fn field<'a>(form: &'a Form, name: &str) -> &'a str {
    form.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn a_product_is_added_with_or_without_a_label() {
        let new = new_item(&form(&[("product", "tea"), ("quantity", "2"), ("label", "")])).unwrap();
        assert_eq!((new.product.as_str(), new.quantity, new.labels.len()), ("tea", 2, 0));
        let new = new_item(&form(&[("product", "tea"), ("quantity", "1"), ("label", " for=party ")])).unwrap();
        assert_eq!(new.labels["for"], "party");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(new_item(&form(&[("product", "tea"), ("quantity", "two")])).is_err());
        assert!(new_item(&form(&[("product", "tea"), ("quantity", "1"), ("label", "party")])).is_err());
        assert!(item_action(&form(&[("action", "steal")])).is_err());
        assert!(item_action(&form(&[("action", "change"), ("quantity", "-1")])).is_err());
    }

    #[test]
    fn the_filter_travels_through_urls_and_forms() {
        assert_eq!(labels("label=for%3Dparty&label=nonsense&x=y"), ["for=party".parse().unwrap()]);
        assert_eq!(filter(&form(&[("filter", "for=party"), ("quantity", "1")])), ["for=party".parse().unwrap()]);
    }
}
