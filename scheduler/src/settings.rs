use std::time::Duration;

/// Every number that the scheduler's decisions are tuned by.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// A worker that has said nothing for so long takes no new replicas, and nothing is known of those it has.
    pub not_ready_after: Duration,
    /// A worker that has said nothing for so long is lost: its replicas are replaced elsewhere.
    pub lost_after: Duration,
    /// A lost worker is forgotten, and its Node with it, after this time without a word.
    pub forgotten_after: Duration,
    /// After a start of the control plane, workers that are known from before have so long to report what they run before
    /// anything is started or stopped. It ends as soon as all have. Not waited for where the store says that nothing ran.
    pub settle: Duration,
    /// The same, where no worker is known from before.
    pub settle_unknown: Duration,
    /// The pause before a replica that failed is started again; each further failure doubles it.
    pub backoff_base: Duration,
    /// The same, after a failure that is not likely to go away by itself: a bad image, a missing ConfigMap.
    pub backoff_base_unlikely: Duration,
    /// The longest pause between starts.
    pub backoff_cap: Duration,
    /// After running for so long, a failure counts as the first one again.
    pub backoff_reset_after: Duration,
    /// The pause before an image that could not be resolved is tried again; each further failure doubles it.
    pub image_retry_base: Duration,
    /// The longest pause between tries to resolve an image.
    pub image_retry_cap: Duration,
    /// A request to resolve an image is repeated when there was no answer for so long.
    pub image_answer_within: Duration,
    /// A start that the worker has not answered for so long is sent again.
    pub start_answer_within: Duration,
    /// A stop that was not answered for so long, beyond its grace, is sent again.
    pub stop_answer_within: Duration,
    /// Up to so many workers, all are compared for each placement.
    pub compare_all_up_to: usize,
    /// Beyond that, so many workers with room are compared, beginning at a random one.
    pub candidates: usize,
    /// A gateway whose session ended may serve on for so long: until then nothing is scaled down.
    pub gateway_grace: Duration,
    /// What a compiled component on a worker is worth in its score; a full worker is worth 1.
    pub cached_bonus: f64,
    /// What a preferred spread is worth: a domain that is ahead by `max_skew` loses this.
    pub preferred_spread_weight: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            not_ready_after: Duration::from_secs(4),
            lost_after: Duration::from_secs(10),
            forgotten_after: Duration::from_secs(600),
            settle: Duration::from_secs(10),
            settle_unknown: Duration::from_secs(2),
            backoff_base: Duration::from_millis(100),
            backoff_base_unlikely: Duration::from_secs(5),
            backoff_cap: Duration::from_secs(300),
            backoff_reset_after: Duration::from_secs(600),
            image_retry_base: Duration::from_secs(1),
            image_retry_cap: Duration::from_secs(300),
            image_answer_within: Duration::from_secs(60),
            start_answer_within: Duration::from_secs(5),
            stop_answer_within: Duration::from_secs(5),
            compare_all_up_to: 64,
            candidates: 24,
            gateway_grace: Duration::from_secs(30),
            cached_bonus: 0.25,
            preferred_spread_weight: 0.5,
        }
    }
}
