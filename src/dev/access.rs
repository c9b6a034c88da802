//! A line for each request, as long as a person could read them; of more, how many there were.

use std::{collections::BTreeMap, time::Duration};

use gateway::{Access, AccessReader};
use http::StatusCode;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::screen::Screen;

/// Lines in a second, and as many for requests that fail.
const LINES: u32 = 20;
/// How often what was left out is told.
const WINDOW: Duration = Duration::from_secs(1);

/// What was left out of one window.
#[derive(Debug, Default)]
struct LeftOut {
    /// By what they were answered; 0: their clients had left.
    by_status: BTreeMap<u16, u64>,
    took: Duration,
    /// Of which nothing else is known.
    missed: u64,
}

/// Shows requests until the gateway ends.
pub(super) async fn show_requests(mut requests: AccessReader, screen: Screen) {
    let mut tick = interval(WINDOW);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut shown, mut shown_failing, mut left_out) = (0, 0, LeftOut::default());
    let mut since = Instant::now();
    loop {
        tokio::select! {
            access = requests.next() => {
                let Some(access) = access else { return };
                let lines = if fails(&access) { &mut shown_failing } else { &mut shown };
                if *lines < LINES {
                    *lines += 1;
                    show(screen, &access);
                } else {
                    *left_out.by_status.entry(access.status.map_or(0, |status| status.as_u16())).or_default() += 1;
                    left_out.took += access.took;
                }
            }
            _ = tick.tick() => {
                left_out.missed += requests.missed();
                if let Some(summary) = left_out.summary(since.elapsed()) {
                    screen.event("requests", summary);
                }
                (shown, shown_failing, left_out, since) = (0, 0, LeftOut::default(), Instant::now());
            }
        }
    }
}

fn fails(access: &Access) -> bool {
    access.status.is_none_or(|status| status.is_server_error()) || access.why.is_some()
}

fn show(screen: Screen, access: &Access) {
    let status = access.status.map_or_else(|| "-".to_owned(), |status| status.as_u16().to_string());
    let whom = access.replica.clone().or_else(|| access.service.as_ref().map(|service| service.name.to_string()));
    let line = format!(
        "{} {} {status} {}{}",
        access.method,
        access.path,
        duration(access.took),
        whom.map(|whom| format!(" {whom}")).unwrap_or_default()
    );
    let id = access.request.map(|request| format!(" (request {request})")).unwrap_or_default();
    let why = match (&access.why, access.status) {
        (Some(why), _) => Some(format!("{why}{id}")),
        (None, None) => Some(format!("its client left before the answer{id}")),
        (None, Some(status)) if status.is_server_error() => Some(format!("the guest's own answer{id}")),
        _ => None,
    };
    screen.request(&line, access.status, why);
}

/// In the unit in which it is read at a glance.
fn duration(took: Duration) -> String {
    match took.as_micros() {
        0..100_000 => format!("{:.1} ms", took.as_secs_f64() * 1e3),
        100_000..1_000_000 => format!("{} ms", took.as_millis()),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

impl LeftOut {
    fn summary(&self, window: Duration) -> Option<String> {
        let told: u64 = self.by_status.values().sum();
        let all = told + self.missed;
        if all == 0 {
            return None;
        }
        let statuses: Vec<String> = self
            .by_status
            .iter()
            .map(|(status, count)| match StatusCode::from_u16(*status) {
                Ok(status) => format!("{count} × {}", status.as_u16()),
                Err(_) => format!("{count} left"),
            })
            .collect();
        let mean = u32::try_from(told).ok().and_then(|told| self.took.checked_div(told));
        let mean = mean.map(|mean| format!(", {} each", duration(mean))).unwrap_or_default();
        let seconds = window.as_secs_f64();
        Some(format!("{all} more in {seconds:.1} s: {}{mean}", statuses.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted_by_status() {
        assert_eq!(LeftOut::default().summary(WINDOW), None);
        let left_out =
            LeftOut { by_status: BTreeMap::from([(200, 410), (502, 2)]), took: Duration::from_millis(824), missed: 88 };
        assert_eq!(left_out.summary(WINDOW).unwrap(), "500 more in 1.0 s: 410 × 200, 2 × 502, 2.0 ms each");
    }

    #[test]
    fn times_are_told_in_the_unit_that_is_read_at_a_glance() {
        for (micros, told) in [(1_234, "1.2 ms"), (99_900, "99.9 ms"), (123_456, "123 ms"), (12_340_000, "12.3 s")] {
            assert_eq!(duration(Duration::from_micros(micros)), told);
        }
    }
}
