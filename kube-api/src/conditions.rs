//! Conditions of objects, as Kubernetes lists them in a status: each type at most once, in no order.

use serde_json::Value;

/// The condition of an object that has this type, if it is there.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_condition_is_found_by_its_type_wherever_it_stands() {
        let conditions =
            json!([{ "type": "MemoryPressure", "status": "True" }, { "type": "Ready", "status": "False" }]);
        let node = json!({ "status": { "conditions": conditions } });
        assert_eq!(condition(&node, "Ready"), Some(&conditions[1]));
        assert_eq!(condition(&node, "DiskPressure"), None);
        assert_eq!(condition(&json!({}), "Ready"), None);
    }
}
