//! Taking out of an object what stands at a path, as errors name it.

use serde_json::Value;

/// Removes the field at a path such as `spec.containers[0].imagee`; answers whether it was there. Keys may hold dots.
pub fn remove_field(object: &mut Value, path: &str) -> bool {
    match object {
        Value::Object(fields) => {
            if fields.remove(path).is_some() {
                return true;
            }
            let below = |key: &str| path.strip_prefix(key).filter(|rest| rest.starts_with(['.', '[']));
            // The same path may be read in several ways where keys hold dots: one of them leads somewhere.
            fields.iter_mut().any(|(key, value)| {
                below(key).is_some_and(|rest| remove_field(value, rest.strip_prefix('.').unwrap_or(rest)))
            })
        }
        Value::Array(elements) => {
            let Some((index, rest)) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
                return false;
            };
            let element = index.parse::<usize>().ok().and_then(|index| elements.get_mut(index));
            element.is_some_and(|element| remove_field(element, rest.strip_prefix('.').unwrap_or(rest)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_removed_where_its_path_leads() {
        let mut object =
            json!({ "a": { "b.c": { "d": 1, "e": 2 } }, "l": [ {}, { "x": 1, "y": [ [ { "z": 1 } ] ] } ] });
        assert!(remove_field(&mut object, "a.b.c.d"));
        assert!(remove_field(&mut object, "l[1].x"));
        assert!(remove_field(&mut object, "l[1].y[0][0].z"));
        assert!(!remove_field(&mut object, "l[2].x") && !remove_field(&mut object, "a.b.x"));
        assert_eq!(object, json!({ "a": { "b.c": { "e": 2 } }, "l": [ {}, { "y": [ [ {} ] ] } ] }));
    }
}
