//! The arithmetic of a rolling update, as Kubernetes' Deployment controller does it.

use super::Bounds;

/// What counts of one revision: how many replicas it is to have, and how many of those it has are available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) wanted: u32,
    pub(crate) available: u32,
}

/// How many replicas each revision is to have next: the new one first, then the old ones, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) new: u32,
    pub(crate) old: Vec<u32>,
}

/// One step of a rolling update. `old` is in the order of age.
pub(crate) fn next(desired: u32, bounds: Bounds, new: Counts, old: &[Counts]) -> Next {
    let grown = grow(desired, bounds, new, old);
    let mut next = Next { new: grown, old: old.iter().map(|counts| counts.wanted).collect() };
    if next.old.iter().all(|wanted| *wanted == 0) {
        return next;
    }
    let total = grown + next.old.iter().sum::<u32>();
    let new_unavailable = grown.saturating_sub(new.available);
    let spare = total.saturating_sub(bounds.min_available).saturating_sub(new_unavailable);
    remove_unavailable(&mut next.old, old, spare);
    let available = new.available.min(grown) + available_within(&next.old, old);
    remove_oldest(&mut next.old, available.saturating_sub(bounds.min_available).min(spare));
    next
}

/// The new revision: up to the surge, never beyond what is wanted.
fn grow(desired: u32, bounds: Bounds, new: Counts, old: &[Counts]) -> u32 {
    let total = new.wanted + old.iter().map(|counts| counts.wanted).sum::<u32>();
    let room = desired.saturating_add(bounds.surge).saturating_sub(total);
    if new.wanted >= desired { desired } else { new.wanted + room.min(desired - new.wanted) }
}

/// Old replicas that are not available serve nobody: they go first, and cost nothing.
fn remove_unavailable(next: &mut [u32], old: &[Counts], mut spare: u32) {
    for (wanted, counts) in next.iter_mut().zip(old) {
        let removed = wanted.saturating_sub(counts.available).min(spare);
        *wanted -= removed;
        spare -= removed;
    }
}

fn available_within(next: &[u32], old: &[Counts]) -> u32 {
    next.iter().zip(old).map(|(wanted, counts)| counts.available.min(*wanted)).sum()
}

fn remove_oldest(next: &mut [u32], mut spare: u32) {
    for wanted in next {
        let removed = (*wanted).min(spare);
        *wanted -= removed;
        spare -= removed;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(wanted: u32, available: u32) -> Counts {
        Counts { wanted, available }
    }

    #[test]
    fn a_new_revision_first_takes_the_surge() {
        let bounds = Bounds { surge: 1, min_available: 3 };
        assert_eq!(next(3, bounds, counts(0, 0), &[counts(3, 3)]), Next { new: 1, old: vec![3] });
    }

    #[test]
    fn an_old_replica_goes_when_a_new_one_is_available() {
        let bounds = Bounds { surge: 1, min_available: 3 };
        assert_eq!(next(3, bounds, counts(1, 1), &[counts(3, 3)]), Next { new: 1, old: vec![2] });
    }

    #[test]
    fn unavailable_old_replicas_go_before_older_ones_that_serve() {
        let bounds = Bounds { surge: 0, min_available: 3 };
        assert_eq!(next(4, bounds, counts(0, 0), &[counts(2, 2), counts(2, 1)]), Next { new: 0, old: vec![2, 1] });
    }

    prop_compose! {
        fn any_counts()(wanted in 0u32..20)(wanted in Just(wanted), available in 0..=wanted) -> Counts {
            counts(wanted, available)
        }
    }

    proptest! {
        #[test]
        fn no_step_takes_available_replicas_below_the_minimum(
            desired in 0u32..20, surge in 0u32..5, unavailable in 0u32..5,
            new in any_counts(), old in prop::collection::vec(any_counts(), 0..4),
        ) {
            let bounds = Bounds { surge, min_available: desired.saturating_sub(unavailable) };
            let step = next(desired, bounds, new, &old);
            let before = new.available + old.iter().map(|counts| counts.available).sum::<u32>();
            let after = new.available.min(step.new) + available_within(&step.old, &old);
            prop_assert!(after >= before.min(bounds.min_available), "{step:?}");
        }

        #[test]
        fn no_step_grows_beyond_the_surge(
            desired in 0u32..20, surge in 0u32..5, unavailable in 0u32..5,
            new in any_counts(), old in prop::collection::vec(any_counts(), 0..4),
        ) {
            let bounds = Bounds { surge, min_available: desired.saturating_sub(unavailable) };
            let step = next(desired, bounds, new, &old);
            let total = |new: u32, old: u32| new + old;
            let before = total(new.wanted, old.iter().map(|counts| counts.wanted).sum());
            let after = total(step.new, step.old.iter().sum());
            prop_assert!(after <= before.max(desired + surge));
            prop_assert!(step.new <= desired);
        }

        #[test]
        fn a_rollout_whose_replicas_all_become_available_ends(
            desired in 0u32..20, surge in 0u32..5, unavailable in 0u32..5, old in prop::collection::vec(0u32..20, 0..4),
        ) {
            prop_assume!(surge + unavailable > 0);
            let bounds = Bounds { surge, min_available: desired.saturating_sub(unavailable) };
            let mut now = Next { new: 0, old };
            for _ in 0..200 {
                let old: Vec<_> = now.old.iter().map(|wanted| counts(*wanted, *wanted)).collect();
                now = next(desired, bounds, counts(now.new, now.new), &old);
            }
            prop_assert_eq!(now.new, desired);
            prop_assert!(now.old.iter().all(|wanted| *wanted == 0));
        }
    }
}
