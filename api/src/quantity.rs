use std::str::FromStr;

/// A Kubernetes quantity (`250m`, `128Mi`, `1.5`, `2e3`), held exactly in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    millis: u128,
}

/// A text that is not a quantity that Sampan can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a quantity: write a number that is not negative and a suffix, such as `250m`, `128Mi` or `2`")]
pub struct InvalidQuantity(String);

impl Quantity {
    /// Thousandths of a unit, rounded up: for CPU, millicores.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.millis).unwrap_or(u64::MAX)
    }

    /// Whole units, rounded up: for memory, bytes.
    pub fn as_units(self) -> u64 {
        u64::try_from(self.millis.div_ceil(1000)).unwrap_or(u64::MAX)
    }
}

impl FromStr for Quantity {
    type Err = InvalidQuantity;

    /// Reads what Kubernetes writes. Parts below a thousandth are rounded up, as Kubernetes does.
    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        parse(text).ok_or_else(|| InvalidQuantity(text.to_owned()))
    }
}

/// Digits that a quantity may have; Kubernetes keeps 18 too.
const MAX_DIGITS: usize = 18;

fn parse(text: &str) -> Option<Quantity> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    if whole.len() + fraction.len() > MAX_DIGITS {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (numerator, denominator) = scale(suffix)?;
    let denominator = denominator.checked_mul(10u128.checked_pow(fraction.len() as u32)?)?;
    let millis = digits.checked_mul(numerator)?.checked_mul(1000)?.div_ceil(denominator);
    Some(Quantity { millis })
}

/// The factor that a suffix stands for, as a fraction.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    Some(match suffix {
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "" => (1, 1),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        _ => return exponent(suffix),
    })
}

fn exponent(suffix: &str) -> Option<(u128, u128)> {
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let factor = 10u128.checked_pow(power.unsigned_abs())?;
    (factor <= 1_000_000_000_000_000_000).then_some(if power < 0 { (1, factor) } else { (factor, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str) -> u64 {
        text.parse::<Quantity>().unwrap().as_units()
    }

    #[test]
    fn suffixes_scale_as_kubernetes_says() {
        assert_eq!(units("128Mi"), 128 << 20);
        assert_eq!(units("1.5Gi"), 3 << 29);
        assert_eq!(units("2e3"), 2000);
        assert_eq!(units("1M"), 1_000_000);
        assert_eq!("250m".parse::<Quantity>().unwrap().as_millis(), 250);
        assert_eq!("0.1".parse::<Quantity>().unwrap().as_millis(), 100);
    }

    #[test]
    fn parts_below_a_unit_are_rounded_up() {
        assert_eq!(units("1m"), 1);
        assert_eq!("1n".parse::<Quantity>().unwrap().as_millis(), 1);
    }

    #[test]
    fn texts_that_are_no_quantity_are_refused() {
        for text in ["", ".", "-1", "Mi", "1.2.3", "1KiB", "12 Mi", "1e", "9e99", "9999999999999999999"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }
}
