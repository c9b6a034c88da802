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

/// The key of the labels that people give in words.
const FOR: &str = "for";

/// The form of a product. The field for what it is for may be empty.
pub(crate) fn new_item(form: &Form) -> Result<NewItem, ApiError> {
    let labels = item_labels(field(form, "label"))?;
    Ok(NewItem { product: field(form, "product").to_owned(), quantity: quantity(form)?, labels })
}

/// What somebody wrote an item is for, such as `Anna` or `summer party`, as labels: `for=summer-party`. Others have their key with
/// them; a comma stands between several.
fn item_labels(text: &str) -> Result<Labels, ApiError> {
    let mut labels = Labels::new();
    for written in text.split(',').map(str::trim).filter(|written| !written.is_empty()) {
        let label = match written.contains('=') {
            true => written.parse(),
            false => Label::new(FOR, &written.split_whitespace().collect::<Vec<_>>().join("-")),
        };
        let Label { key, value } = label.map_err(|_| {
            ApiError::invalid(format!(
                "`{written}` is not something that an item can be for: write a name or a few words of plain letters and digits, \
                 such as Anna or summer party"
            ))
        })?;
        if labels.insert(key, value).is_some() {
            return Err(ApiError::invalid(format!("`{text}` names two things: an item can be for one")));
        }
    }
    Ok(labels)
}

/// As [`item_labels`] takes them, to be edited.
pub(crate) fn written(labels: &Labels) -> String {
    let all = labels.iter().map(|(key, value)| if key == FOR { value.clone() } else { format!("{key}={value}") });
    all.collect::<Vec<_>>().join(", ")
}

/// A label, for people.
pub(crate) fn shown(label: &str) -> String {
    match label.split_once('=') {
        Some((FOR, value)) => format!("{FOR} {value}"),
        Some((key, value)) => format!("{key}: {value}"),
        None => label.to_owned(),
    }
}

/// The form of an item in the cart, which has two buttons.
pub(crate) fn item_action(form: &Form) -> Result<ItemAction, ApiError> {
    match field(form, "action") {
        "remove" => Ok(ItemAction::Remove),
        "change" => {
            let given = form.iter().find(|(name, _)| name == "label");
            let labels = given.map(|(_, text)| item_labels(text)).transpose()?;
            Ok(ItemAction::Change(ItemChange { quantity: Some(quantity(form)?), labels }))
        }
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
    fn what_an_item_is_for_is_written_in_words_and_read_back_as_written() {
        for (text, again) in [("", ""), (" summer  party ", "summer-party"), ("Anna, aisle=3", "aisle=3, Anna")] {
            let labels = item_labels(text).unwrap();
            assert_eq!(written(&labels), again);
            assert_eq!(item_labels(again).unwrap(), labels);
        }
        assert_eq!(item_labels("summer party").unwrap()["for"], "summer-party");
        assert_eq!((shown("for=party"), shown("aisle=3")), ("for party".to_owned(), "aisle: 3".to_owned()));
        for text in ["Anna, Bert", "<b>", "!"] {
            assert!(item_labels(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_item_of_the_cart_gets_the_labels_that_its_form_has() {
        let changed = |fields: &[(&str, &str)]| match item_action(&form(fields)).unwrap() {
            ItemAction::Change(change) => change.labels,
            ItemAction::Remove => panic!("it is a change"),
        };
        let (action, quantity) = (("action", "change"), ("quantity", "1"));
        assert_eq!(changed(&[action, quantity, ("label", "home")]).unwrap()["for"], "home");
        assert_eq!(changed(&[action, quantity, ("label", " ")]), Some(Labels::new()));
        assert_eq!(changed(&[action, quantity]), None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(new_item(&form(&[("product", "tea"), ("quantity", "two")])).is_err());
        assert!(new_item(&form(&[("product", "tea"), ("quantity", "1"), ("label", "=party")])).is_err());
        assert!(item_action(&form(&[("action", "steal")])).is_err());
        assert!(item_action(&form(&[("action", "change"), ("quantity", "-1")])).is_err());
    }

    #[test]
    fn the_filter_travels_through_urls_and_forms() {
        assert_eq!(labels("label=for%3Dparty&label=nonsense&x=y"), ["for=party".parse().unwrap()]);
        assert_eq!(filter(&form(&[("filter", "for=party"), ("quantity", "1")])), ["for=party".parse().unwrap()]);
    }
}
