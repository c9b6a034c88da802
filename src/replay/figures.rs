//! Numbers as people read them.

use std::time::Duration;

/// A time in the unit in which it has one to four digits before the point.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    match seconds {
        0.0 => "0".to_owned(),
        s if s < 1e-3 => format!("{} µs", trim(s * 1e6)),
        s if s < 1.0 => format!("{} ms", trim(s * 1e3)),
        s => format!("{} s", trim(s)),
    }
}

/// A number with `k` or `M` for thousands and millions.
pub(super) fn si(number: f64) -> String {
    match number.abs() {
        n if n >= 1e6 => format!("{}M", trim(number / 1e6)),
        n if n >= 1e4 => format!("{}k", trim(number / 1e3)),
        _ => trim(number),
    }
}

/// Three digits, and no zeros behind the point.
fn trim(number: f64) -> String {
    let places = match number.abs() {
        n if n >= 99.95 => 0,
        n if n >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{number:.places$}");
    if places == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_numbers_have_three_digits() {
        let spans = [0, 1, 100, 1000, 1500, 26_368, 2_490_368, 10_000_000].map(Duration::from_micros).map(span);
        assert_eq!(spans, ["0", "1 µs", "100 µs", "1 ms", "1.5 ms", "26.4 ms", "2.49 s", "10 s"]);
        let numbers = [0.0, 0.25, 20.0, 1234.5, 68_774_239.0, 12_345.0].map(si);
        assert_eq!(numbers, ["0", "0.25", "20", "1234", "68.8M", "12.3k"]);
    }
}
