use std::{collections::HashSet, time::Duration};

use super::{ALL, column::human_duration};

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
