/// Minutes since 1970 of `1998-05-12 06:38:00` (or with a `T`, or without seconds); `None`: it is no such text.
pub(super) fn parse_minute(text: &str) -> Option<u64> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute) = (time.next()??, time.next()??);
    let valid = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    (valid && hour < 24 && minute < 60).then(|| (days(year, month, day) * 24 + hour) * 60 + minute)
}

/// Days since 1970-01-01 in the Gregorian calendar: years begin in March, so that a leap day ends one (H. Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_counted_over_days_months_and_leap_years() {
        assert_eq!(parse_minute("1970-01-01 00:00:00"), Some(0));
        assert_eq!(parse_minute("1998-05-12 06:38:00"), Some(894_955_080 / 60));
        assert_eq!(parse_minute("2024-03-01T00:00"), parse_minute("2024-02-29 23:59:00").map(|before| before + 1));
        for wrong in ["", "1998-05-12", "12/May/1998 00:00:00", "1998-13-01 00:00:00", "1998-05-12 24:00:00"] {
            assert_eq!(parse_minute(wrong), None, "{wrong}");
        }
    }
}
