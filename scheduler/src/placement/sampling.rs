use crate::Settings;

/// How many workers with room are compared before the best of them is taken: all in a small cluster, a sample in a large one.
pub(crate) fn candidates(workers: usize, settings: &Settings) -> usize {
    if workers <= settings.compare_all_up_to { usize::MAX } else { settings.candidates.max(1) }
}
