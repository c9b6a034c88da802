use std::{collections::HashSet, time::Duration};

use serde_json::{Map, Value, json};

use super::{ALL, column::human_duration};
use crate::schema::{self, Gvk, Message, Shape};

#[test]
fn every_kind_has_a_schema_all_of_whose_fields_its_type_has_too() {
    for resource in ALL.iter().filter(|resource| resource.kind != "CustomResourceDefinition") {
        let gvk = Gvk::of(&resource.api_version(), resource.kind);
        let message = schema::served().kind(&gvk).unwrap_or_else(|| panic!("{gvk:?} has no schema"));
        let mut object = filled(message);
        object["apiVersion"] = json!(resource.api_version());
        object["kind"] = json!(resource.kind);
        let errors: Vec<_> = (resource.schema.check)(&object).iter().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", resource.kind);
    }
}

/// An object that has a value for each of its fields.
fn filled(message: &Message) -> Value {
    message.fields.iter().map(|(name, field)| (name.clone(), sample(&field.shape))).collect::<Map<_, _>>().into()
}

fn sample(shape: &Shape) -> Value {
    match shape {
        Shape::Text | Shape::Duration => json!("text"),
        Shape::Bytes => json!("dGV4dA=="),
        Shape::Flag => json!(true),
        Shape::Int32 | Shape::Int64 | Shape::Double | Shape::IntOrString => json!(1),
        Shape::Quantity => json!("1"),
        Shape::Time => json!("2026-01-31T12:00:00Z"),
        Shape::MicroTime => json!("2026-01-31T12:00:00.000001Z"),
        Shape::Any => json!({}),
        Shape::Message(id) => filled(schema::served().message(*id)),
        Shape::List(of, _) => json!([sample(of)]),
        Shape::Map(of) => json!({ "key": sample(of) }),
    }
}

#[test]
fn no_two_kinds_share_a_path_or_a_short_name() {
    let mut seen = HashSet::new();
    for resource in ALL {
        assert!(seen.insert(format!("{}/{}", resource.api_version(), resource.plural)));
        // Another version of a kind is called the same.
        for name in resource.short_names.iter().filter(|_| resource.view.is_none()) {
            assert!(seen.insert((*name).to_owned()), "{name}");
        }
    }
}

#[test]
fn ages_are_written_as_kubectl_writes_them() {
    let cases = [
        (5, "5s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (12_000, "3h20m"),
        (100_000, "27h"),
        (180_000, "2d2h"),
        (8 * 86_400, "8d"),
        (800 * 86_400, "2y70d"),
        (9 * 365 * 86_400, "9y"),
    ];
    for (seconds, text) in cases {
        assert_eq!(human_duration(Duration::from_secs(seconds)), text);
    }
}
