use std::time::Duration;

/// A text that is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a span of time: write a number and a unit, such as `500ms`, `30s`, `5m`, `1h` or `30d`")]
pub struct InvalidSpan(String);

/// Reads a span of time written as a number and a unit: `ms`, `s`, `m`, `h` or `d`. The number may have a fraction.
pub fn parse_span(text: &str) -> Result<Duration, InvalidSpan> {
    let invalid = || InvalidSpan(text.to_owned());
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(invalid)?;
    let (number, unit) = text.split_at(unit_at);
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(invalid());
    }
    let seconds_per_unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(invalid()),
    };
    let number: f64 = number.parse().map_err(|_| invalid())?;
    Duration::try_from_secs_f64(number * seconds_per_unit).map_err(|_| invalid())
}

/// Writes a span of time so that [`parse_span`] reads it back, in the largest unit that keeps it whole.
pub fn format_span(span: Duration) -> String {
    let millis = span.as_millis();
    match millis {
        0 => "0s".to_owned(),
        m if m % 1000 != 0 => format!("{m}ms"),
        m if m % 60_000 != 0 => format!("{}s", m / 1000),
        m if m % 3_600_000 != 0 => format!("{}m", m / 60_000),
        m => format!("{}h", m / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_back_as_written() {
        for text in ["500ms", "30s", "5m", "2h", "0s"] {
            assert_eq!(format_span(parse_span(text).unwrap()), text);
        }
        assert_eq!(parse_span("1.5s").unwrap(), Duration::from_millis(1500));
    }

    #[test]
    fn spans_without_a_unit_or_a_number_are_refused() {
        for text in ["", "30", "s", "-1s", "1y", "1..2s", "1e3s", "999999999999999999999999d"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }
}
