use std::collections::HashSet;

use shop::Product;

/// The currency of the built-in prices.
pub(crate) const CURRENCY: &str = "EUR";

macro_rules! product {
    ($id:literal, $name:literal, $price_cents:literal, $description:literal) => {
        Product {
            id: $id.to_owned(),
            name: $name.to_owned(),
            description: $description.to_owned(),
            price_cents: $price_cents,
            picture: include_str!(concat!("../pictures/", $id, ".svg")).to_owned(),
        }
    };
}

/// What is sold when nothing else is configured.
pub(crate) fn built_in() -> Vec<Product> {
    vec![
        product!("tea", "Jasmine tea", 1250, "Green leaves, scented over seven nights with fresh jasmine. 100 g."),
        product!("cup", "Celadon cup", 1800, "Thrown by hand and glazed in river green. Holds 120 ml."),
        product!("lantern", "Paper lantern", 2400, "Folds flat, glows warm. Bamboo ribs, 30 cm across."),
        product!("fan", "Folding fan", 990, "Silk on sandalwood. For summers without a breeze."),
        product!("bowl", "Rice bowl", 1450, "White porcelain with a cobalt rim. Stacks, and forgives."),
        product!(
            "umbrella",
            "Oil-paper umbrella",
            4900,
            "Forty ribs of bamboo, painted and oiled. Keeps the rain off."
        ),
        product!("brush", "Writing brush", 1690, "Wolf hair and goat hair, for strokes both firm and soft."),
        product!("boat", "Little sampan", 3600, "Three planks, as its name says. Carved from cedar, floats."),
    ]
}

/// Reads a configured catalogue: a JSON list of products.
pub(crate) fn parse(text: &str) -> Result<Vec<Product>, String> {
    let products: Vec<Product> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut ids = HashSet::new();
    for product in &products {
        let id = &product.id;
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(format!("`{id}` is not an id: use lower-case letters, digits and `-`"));
        }
        if !ids.insert(id) {
            return Err(format!("the id `{id}` is there twice"));
        }
    }
    Ok(products)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_keeps_its_own_rules() {
        let text = serde_json::to_string(&built_in()).unwrap();
        assert_eq!(parse(&text).unwrap().len(), built_in().len());
        assert!(built_in().iter().all(|product| product.price_cents > 0 && product.picture.starts_with("<svg")));
    }

    #[test]
    fn a_wrong_catalogue_is_refused_with_what_is_wrong() {
        let product = |id: &str| format!(r#"{{"id":"{id}","name":"n","description":"d","price_cents":1}}"#);
        assert_eq!(parse(&format!("[{}]", product("tea"))).unwrap().len(), 1);
        assert!(parse(&format!("[{0},{0}]", product("tea"))).unwrap_err().contains("twice"));
        assert!(parse(&format!("[{}]", product("Tea"))).unwrap_err().contains("`Tea`"));
        assert!(parse("[{}]").is_err());
    }
}
