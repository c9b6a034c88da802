/// An amount as people write it: `€4.20`, `12.00 CHF`.
pub fn format_money(cents: u64, currency: &str) -> String {
    let amount = format!("{}.{:02}", cents / 100, cents % 100);
    match currency {
        "EUR" => format!("€{amount}"),
        "USD" => format!("${amount}"),
        "GBP" => format!("£{amount}"),
        "CNY" => format!("¥{amount}"),
        other => format!("{amount} {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_always_two_digits() {
        assert_eq!(format_money(5, "EUR"), "€0.05");
        assert_eq!(format_money(1200, "CHF"), "12.00 CHF");
        assert_eq!(format_money(123_456, "USD"), "$1234.56");
    }
}
