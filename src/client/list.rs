//! Lists of objects, as `kubectl get -o yaml` and charts write them: `List`, and the API's own such as `ConfigMapList`.

use serde_json::Value;

const LIST: &str = "List";

/// What an object is.
#[derive(Debug, PartialEq)]
pub(super) enum List {
    /// A list of these.
    Of(Vec<Value>),
    /// No list.
    None(Value),
}

/// The items of a list. As in kubectl, a kind that ends in `List` is one if it has items. Those of `XList` are of kind `X` and
/// of the list's version unless they say otherwise: the API's own lists leave both away.
pub(super) fn items(mut object: Value) -> List {
    let Some(kind) = object["kind"].as_str().filter(|kind| kind.ends_with(LIST)).map(str::to_owned) else {
        return List::None(object);
    };
    let version = object["apiVersion"].clone();
    let mut items = match object.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        None | Some(Value::Null) if kind == LIST => Vec::new(),
        other => {
            if let (Some(other), Some(fields)) = (other, object.as_object_mut()) {
                fields.insert("items".to_owned(), other);
            }
            return List::None(object);
        }
    };
    if kind != LIST {
        let of = kind.strip_suffix(LIST).unwrap_or(&kind);
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.entry("kind").or_insert_with(|| of.into());
            item.entry("apiVersion").or_insert_with(|| version.clone());
        }
    }
    List::Of(items)
}
