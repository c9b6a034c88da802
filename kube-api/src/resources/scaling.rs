//! The `sampan.dev/` annotations that say how the number of replicas follows the traffic, of Deployments and autoscalers.

use std::{ops::RangeInclusive, time::Duration};

use api::annotations::{AUTOSCALER, SCALE, SCALE_TO_ZERO_AFTER};
use serde_json::Value;

use super::{
    field::{FieldError, nearest},
    workload::MAX_REPLICAS,
};

/// The policies that a user may choose from.
pub(crate) const AUTOSCALERS: [&str; 3] = ["sqrt-staffing", "kpa", "hpa"];
/// How long a service may be without requests before no replica is left.
const IDLE_RANGE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(24 * 3600);

/// What is wrong with a value, if anything is.
type Check = fn(&str) -> Option<String>;

/// What is wrong with the values of these annotations. Where they may stand is checked elsewhere.
pub(super) fn check(object: &Value) -> Vec<FieldError> {
    let annotations = &object["metadata"]["annotations"];
    let checks: [(&str, Check); 3] = [
        (SCALE, |text| parse_bounds(text).err()),
        (AUTOSCALER, |text| check_autoscaler(text).err()),
        (SCALE_TO_ZERO_AFTER, |text| parse_idle(text).err()),
    ];
    let wrong = checks.into_iter().filter_map(|(key, check)| {
        let why = check(annotations[key].as_str()?)?;
        Some(FieldError::invalid(format!("metadata.annotations[{key}]"), why))
    });
    wrong.collect()
}

/// Reads `sampan.dev/scale`: the least and the most replicas, as in `0..50`.
pub fn parse_bounds(text: &str) -> Result<RangeInclusive<u32>, String> {
    const WAY_OUT: &str = "write `MIN..MAX`, such as `0..50`";
    let Some((least, most)) = text.trim().split_once("..") else {
        return Err(format!("`{text}` is no range: {WAY_OUT}; a number that stays belongs into `spec.replicas`"));
    };
    match (least.parse(), most.parse()) {
        (Ok(least), Ok(most)) if least <= most && (1..=MAX_REPLICAS).contains(&i64::from(most)) => Ok(least..=most),
        (Ok(_), Ok(_)) => {
            Err(format!("`{text}` is out of range: the most must be 1 to {MAX_REPLICAS}, and not below the least"))
        }
        _ => Err(format!("`{text}` is no range: {WAY_OUT}")),
    }
}

/// Reads `sampan.dev/scale-to-zero-after`.
pub fn parse_idle(text: &str) -> Result<Duration, String> {
    let span = api::parse_span(text.trim()).map_err(|error| error.to_string())?;
    if IDLE_RANGE.contains(&span) { Ok(span) } else { Err(format!("`{text}` is out of range: use 100ms to 24h")) }
}

fn check_autoscaler(text: &str) -> Result<(), String> {
    if AUTOSCALERS.contains(&text) {
        return Ok(());
    }
    let known = AUTOSCALERS.join("`, `");
    Err(match nearest(text, AUTOSCALERS) {
        Some(known) => format!("`{text}` is not known: did you mean `{known}`?"),
        None => format!("`{text}` is not known: use one of `{known}`"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bounds_are_read_and_anything_else_is_refused_with_the_way_out() {
        assert_eq!(parse_bounds("0..50"), Ok(0..=50));
        assert_eq!(parse_bounds(" 3..3 "), Ok(3..=3));
        for (text, word) in [
            ("3", "spec.replicas"),
            ("0..0", "1 to"),
            ("5..2", "below the least"),
            ("1..1000000", "1 to 100000"),
            ("-1..5", "0..50"),
            ("..5", "0..50"),
            ("1..", "0..50"),
            ("1...5", "0..50"),
            ("1..=5", "0..50"),
            ("", "0..50"),
        ] {
            let said = parse_bounds(text).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
        }
    }

    #[test]
    fn the_values_of_the_annotations_are_checked_by_their_paths() {
        let object = |key: &str, value: &str| json!({ "metadata": { "annotations": { key: value } } });
        for (key, value) in [(AUTOSCALER, "kpa"), (SCALE, "0..5"), (SCALE_TO_ZERO_AFTER, "100ms")] {
            assert_eq!(check(&object(key, value)), []);
        }
        for (key, value, word) in [
            (AUTOSCALER, "sqrt", "did you mean `sqrt-staffing`"),
            (AUTOSCALER, "fast", "`kpa`"),
            (SCALE, "3", "MIN..MAX"),
            (SCALE_TO_ZERO_AFTER, "99ms", "100ms to 24h"),
            (SCALE_TO_ZERO_AFTER, "25h", "100ms to 24h"),
            (SCALE_TO_ZERO_AFTER, "5", "500ms"),
        ] {
            let said = check(&object(key, value)).remove(0).to_string();
            assert!(said.starts_with(&format!("metadata.annotations[{key}]: ")) && said.contains(word), "{said}");
        }
    }
}
