//! A cart and its arithmetic, without any I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shop::{ApiError, CartView, Item, ItemChange, Label, LabelTotal, Labels, MAX_LABELS, NewItem};
use wstd::http::StatusCode;

use crate::catalogue::Offer;

/// How many of one thing can be bought at once.
const MAX_QUANTITY: u32 = 999;

/// How many different things fit into a cart.
const MAX_ITEMS: usize = 100;

/// A cart, as it is stored.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cart {
    /// The number of the last item that was added: ids are not used twice.
    last_id: u64,
    items: Vec<Item>,
}

impl Cart {
    /// Adds a product. With the same price and labels as an item that is there, it becomes more of that.
    pub(crate) fn add(&mut self, product: &Offer, new: &NewItem) -> Result<Item, ApiError> {
        let same = |item: &&mut Item| {
            item.product == product.id && item.labels == new.labels && item.price_cents == product.price_cents
        };
        if let Some(item) = self.items.iter_mut().find(same) {
            let quantity = item.quantity + new.quantity;
            check_quantity(quantity)?;
            item.quantity = quantity;
            return Ok(item.clone());
        }
        if self.items.len() >= MAX_ITEMS {
            let message = format!("the cart holds {MAX_ITEMS} different items already");
            return Err(ApiError::new(StatusCode::CONFLICT, "CartFull", message));
        }
        self.last_id += 1;
        let item = Item {
            id: self.last_id.to_string(),
            product: product.id.clone(),
            name: product.name.clone(),
            price_cents: product.price_cents,
            quantity: new.quantity,
            labels: new.labels.clone(),
        };
        self.items.push(item.clone());
        Ok(item)
    }

    pub(crate) fn change(&mut self, id: &str, change: &ItemChange) -> Result<Item, ApiError> {
        let item = self.items.iter_mut().find(|item| item.id == id).ok_or_else(|| no_item(id))?;
        if let Some(quantity) = change.quantity {
            item.quantity = quantity;
        }
        if let Some(labels) = &change.labels {
            item.labels = labels.clone();
        }
        Ok(item.clone())
    }

    pub(crate) fn remove(&mut self, id: &str) -> Result<(), ApiError> {
        let position = self.items.iter().position(|item| item.id == id).ok_or_else(|| no_item(id))?;
        self.items.remove(position);
        Ok(())
    }

    /// The items that carry every label of the filter, and the totals of the whole cart.
    pub(crate) fn view(&self, currency: &str, filter: &[Label]) -> CartView {
        let shown = |item: &&Item| filter.iter().all(|label| label.is_in(&item.labels));
        let items: Vec<Item> = self.items.iter().filter(shown).cloned().collect();
        CartView {
            currency: currency.to_owned(),
            total_cents: items.iter().map(Item::total_cents).sum(),
            items,
            filter: filter.iter().map(Label::to_string).collect(),
            cart_total_cents: self.items.iter().map(Item::total_cents).sum(),
            cart_quantity: self.items.iter().map(|item| u64::from(item.quantity)).sum(),
            labels: self.label_totals(),
        }
    }

    fn label_totals(&self) -> Vec<LabelTotal> {
        let mut totals = BTreeMap::new();
        for item in &self.items {
            for (key, value) in &item.labels {
                let label = format!("{key}={value}");
                let total =
                    totals.entry(label.clone()).or_insert(LabelTotal { label, items: 0, quantity: 0, total_cents: 0 });
                total.items += 1;
                total.quantity += u64::from(item.quantity);
                total.total_cents += item.total_cents();
            }
        }
        totals.into_values().collect()
    }
}

/// Whether this can be added to a cart, whatever is in it.
pub(crate) fn check(new: &NewItem) -> Result<(), ApiError> {
    check_quantity(new.quantity)?;
    check_labels(&new.labels)
}

/// Whether this can be changed, whatever is in the cart.
pub(crate) fn check_change(change: &ItemChange) -> Result<(), ApiError> {
    if change.quantity.is_none() && change.labels.is_none() {
        return Err(ApiError::invalid("nothing to change: give `quantity` or `labels`"));
    }
    change.quantity.map_or(Ok(()), check_quantity)?;
    change.labels.as_ref().map_or(Ok(()), check_labels)
}

fn check_quantity(quantity: u32) -> Result<(), ApiError> {
    if (1..=MAX_QUANTITY).contains(&quantity) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("quantity: {quantity} is not between 1 and {MAX_QUANTITY}")))
}

fn check_labels(labels: &Labels) -> Result<(), ApiError> {
    if labels.len() > MAX_LABELS {
        return Err(ApiError::invalid(format!("labels: {} are more than {MAX_LABELS}", labels.len())));
    }
    labels.iter().try_for_each(|(key, value)| {
        Label::new(key, value).map(drop).map_err(|why| ApiError::invalid(format!("labels: {why}")))
    })
}

pub(crate) fn no_item(id: &str) -> ApiError {
    ApiError::not_found(format!("item `{id}` in this cart"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tea() -> Offer {
        Offer { id: "tea".to_owned(), name: "Tea".to_owned(), price_cents: 1250 }
    }

    fn new(quantity: u32, labels: &[(&str, &str)]) -> NewItem {
        let labels = labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        NewItem { product: "tea".to_owned(), quantity, labels }
    }

    #[test]
    fn the_same_again_becomes_more_of_the_same() {
        let mut cart = Cart::default();
        cart.add(&tea(), &new(1, &[])).unwrap();
        let item = cart.add(&tea(), &new(2, &[])).unwrap();
        assert_eq!((item.quantity, cart.items.len()), (3, 1));
        cart.add(&tea(), &new(1, &[("for", "party")])).unwrap();
        cart.add(&Offer { price_cents: 1300, ..tea() }, &new(1, &[])).unwrap();
        assert_eq!(cart.items.len(), 3);
    }

    #[test]
    fn totals_are_those_of_each_label_and_of_what_the_filter_shows() {
        let mut cart = Cart::default();
        cart.add(&tea(), &new(2, &[("for", "party"), ("who", "anna")])).unwrap();
        cart.add(&tea(), &new(1, &[("for", "home")])).unwrap();
        let view = cart.view("EUR", &["for=party".parse().unwrap()]);
        assert_eq!((view.items.len(), view.total_cents, view.cart_total_cents), (1, 2500, 3750));
        let totals: Vec<_> = view.labels.iter().map(|total| (total.label.as_str(), total.total_cents)).collect();
        assert_eq!(totals, [("for=home", 1250), ("for=party", 2500), ("who=anna", 2500)]);
    }

    #[test]
    fn an_item_is_changed_and_removed_by_its_id_which_is_not_used_again() {
        let mut cart = Cart::default();
        let first = cart.add(&tea(), &new(1, &[])).unwrap().id;
        let change = ItemChange { quantity: Some(7), labels: None };
        assert_eq!(cart.change(&first, &change).unwrap().quantity, 7);
        cart.remove(&first).unwrap();
        assert_eq!(cart.remove(&first).unwrap_err().status, StatusCode::NOT_FOUND);
        assert_ne!(cart.add(&tea(), &new(1, &[])).unwrap().id, first);
    }

    #[test]
    fn quantities_and_labels_have_bounds() {
        for (quantity, fits) in [(0, false), (1, true), (999, true), (1000, false)] {
            assert_eq!(check(&new(quantity, &[])).is_ok(), fits, "{quantity}");
        }
        assert!(check(&new(1, &[("", "x")])).is_err());
        let mut cart = Cart::default();
        cart.add(&tea(), &new(999, &[])).unwrap();
        assert_eq!(cart.add(&tea(), &new(1, &[])).unwrap_err().status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(check_change(&ItemChange::default()).is_err());
    }

    #[test]
    fn a_cart_takes_a_hundred_different_items() {
        let mut cart = Cart::default();
        for n in 0..MAX_ITEMS {
            cart.add(&tea(), &new(1, &[("n", &n.to_string())])).unwrap();
        }
        assert_eq!(cart.add(&tea(), &new(1, &[])).unwrap_err().status, StatusCode::CONFLICT);
    }
}
