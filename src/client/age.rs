//! How long ago something was, as kubectl says it.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// Since a time of the API: `3m5s`. A clock that is behind the server's makes it `0s`.
pub(crate) fn since(time: &Value, now: Timestamp) -> String {
    match time.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(then) => between(then, now),
        None => "<unknown>".to_owned(),
    }
}

/// The same, between two times.
pub(crate) fn between(then: Timestamp, now: Timestamp) -> String {
    span(u64::try_from(now.as_second() - then.as_second()).unwrap_or(0))
}

/// So many seconds in at most two units, of which the second only where it still matters.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |(of, one): (u64, &str), (rest, other): (u64, &str)| {
        if rest == 0 { format!("{of}{one}") } else { format!("{of}{one}{rest}{other}") }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two((minutes, "m"), (seconds % 60, "s")),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two((hours, "h"), (minutes % 60, "m")),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two((days, "d"), (hours % 24, "h")),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two((days / 365, "y"), (days % 365, "d")),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_as_kubectl_tells_them() {
        let known =
            [(0, "0s"), (119, "119s"), (185, "3m5s"), (240, "4m"), (3600, "60m"), (10_860, "3h1m"), (90_000, "25h")];
        for (seconds, text) in known.into_iter().chain([(180_000, "2d2h"), (864_000, "10d"), (63_158_400, "2y1d")]) {
            assert_eq!(span(seconds), text);
        }
    }
}
