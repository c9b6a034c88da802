/// Successes and failures in a row, and what they amount to.
pub(super) struct Streak {
    success_threshold: u32,
    failure_threshold: u32,
    successes: u32,
    failures: u32,
    verdict: Option<bool>,
}

impl Streak {
    pub(super) fn new(success_threshold: u32, failure_threshold: u32) -> Self {
        Self {
            success_threshold: success_threshold.max(1),
            failure_threshold: failure_threshold.max(1),
            successes: 0,
            failures: 0,
            verdict: None,
        }
    }

    /// Takes one result; gives the verdict if it changes.
    pub(super) fn observe(&mut self, success: bool) -> Option<bool> {
        (self.successes, self.failures) =
            if success { (self.successes.saturating_add(1), 0) } else { (0, self.failures.saturating_add(1)) };
        let verdict = match (self.successes, self.failures) {
            (successes, _) if successes >= self.success_threshold => true,
            (_, failures) if failures >= self.failure_threshold => false,
            _ => return None,
        };
        (self.verdict.replace(verdict) != Some(verdict)).then_some(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_that_reach_their_threshold_count_and_only_changes_are_told() {
        let mut streak = Streak::new(2, 3);
        let seen: Vec<_> = [true, true, true, false, false, true, false, false, false, false, true, true]
            .into_iter()
            .map(|success| streak.observe(success))
            .collect();
        let mut expected = vec![None; 12];
        expected[1] = Some(true);
        expected[8] = Some(false);
        expected[11] = Some(true);
        assert_eq!(seen, expected);
    }
}
