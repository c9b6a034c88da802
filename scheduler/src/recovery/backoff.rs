use std::time::Duration;

use api::replica::FailureReason;

use crate::Settings;

/// The pause after the `failures`th failure in a row, counted from 1: `base`, doubled each time, at most `cap`.
pub(crate) fn pause(failures: u32, base: Duration, cap: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    base.saturating_mul(1 << doublings).min(cap)
}

/// The pause before a replica is started again.
pub(crate) fn restart_pause(failures: u32, reason: FailureReason, settings: &Settings) -> Duration {
    let base = if had_begun(reason) { settings.backoff_base } else { settings.backoff_base_unlikely };
    pause(failures, base, settings.backoff_cap)
}

/// Whether a guest that failed so had all that it needs to be started.
pub(crate) fn had_begun(reason: FailureReason) -> bool {
    match reason {
        FailureReason::InvalidImage
        | FailureReason::CreateContainerConfigError
        | FailureReason::ErrImagePull
        | FailureReason::ImagePullBackOff => false,
        FailureReason::Error | FailureReason::OomKilled | FailureReason::NodeLost => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_pause_up_to_the_cap() {
        let pauses: Vec<_> =
            (1..=6).map(|n| pause(n, Duration::from_secs(1), Duration::from_secs(10)).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        assert_eq!(pause(u32::MAX, Duration::from_secs(1), Duration::from_secs(300)), Duration::from_secs(300));
    }

    #[test]
    fn a_first_trap_is_retried_at_once_and_a_bad_image_is_not() {
        let settings = Settings::default();
        assert!(restart_pause(1, FailureReason::Error, &settings) < Duration::from_secs(1));
        assert!(restart_pause(1, FailureReason::InvalidImage, &settings) >= Duration::from_secs(5));
    }
}
