//! Sizes as people read them.

/// A number of bytes in the largest unit of thousands that leaves at least one.
pub(crate) fn human_bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", (bytes + 500) / 1_000),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_to_what_matters() {
        assert_eq!(human_bytes(999), "999 B");
        assert_eq!(human_bytes(248_400), "248 kB");
        assert_eq!(human_bytes(10_540_000), "10.5 MB");
        assert_eq!(human_bytes(25_276_510_208), "25.3 GB");
    }
}
