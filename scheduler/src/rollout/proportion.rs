//! How a Deployment that is scaled in the middle of a rollout shares its new number among its revisions, as Kubernetes'
//! Deployment controller does ("proportional scaling" in its documentation): each keeps its part of the whole.

use super::rolling::Counts;

/// What a Deployment is scaled to, and what it was scaled to before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) desired: u32,
    /// Replicas there may be above `desired`.
    pub(crate) surge: u32,
    /// The most replicas that there were to be until now, surge included. Nothing is known of it after a restart.
    pub(crate) largest_before: Option<u32>,
}

impl Target {
    /// The most replicas that there may be of all revisions together.
    pub(crate) fn largest(self) -> u32 {
        if self.desired == 0 { 0 } else { self.desired.saturating_add(self.surge) }
    }
}

/// The next number of each revision that has one above zero. `active` comes oldest first, and so does the answer.
///
/// In one thing it differs from Kubernetes, whose rounding may take the only replicas that serve where a broken revision is
/// much larger: one of those stays, in the place of one that does not serve.
pub(crate) fn share(target: Target, active: &[Counts]) -> Vec<u32> {
    let mut next = in_proportion(target, active);
    keep_one_that_serves(target, active, &mut next);
    next
}

fn in_proportion(target: Target, active: &[Counts]) -> Vec<u32> {
    let total: i64 = active.iter().map(|counts| i64::from(counts.wanted)).sum();
    let change = i64::from(target.largest()) - total;
    let mut next: Vec<i64> = active.iter().map(|counts| i64::from(counts.wanted)).collect();
    let order = largest_first(active, change > 0);
    let mut left = change;
    for index in &order {
        let own = part(target, total, active[*index].wanted);
        let part = if change > 0 { own.min(left) } else { own.max(left) };
        // When nothing is left, a part that points the other way is not taken either.
        let part = if left == 0 { 0 } else { part };
        next[*index] += part;
        left -= part;
    }
    // What rounding leaves is the largest one's.
    if let Some(largest) = order.first() {
        next[*largest] += left;
    }
    next.into_iter().map(|wanted| u32::try_from(wanted.max(0)).unwrap_or(u32::MAX)).collect()
}

/// The largest revision first. Of equal ones, the newest gains first, and the oldest loses first.
fn largest_first(active: &[Counts], grows: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..active.len()).collect();
    if grows {
        order.reverse();
    }
    order.sort_by_key(|index| std::cmp::Reverse(active[*index].wanted));
    order
}

/// By how much a revision of this size changes for its share of the whole to stay, rounded to the nearest.
fn part(target: Target, total: i64, wanted: u32) -> i64 {
    let wanted = i64::from(wanted);
    let before = target.largest_before.map(i64::from).filter(|before| *before > 0).unwrap_or(total);
    if target.desired == 0 || before == 0 {
        return -wanted;
    }
    let (numerator, denominator) = (2 * wanted * i64::from(target.largest()) + before, 2 * before);
    numerator / denominator - wanted
}

fn keep_one_that_serves(target: Target, active: &[Counts], next: &mut [u32]) {
    let serves_on = next.iter().zip(active).any(|(next, counts)| (*next).min(counts.available) > 0);
    let most_serving = (0..active.len()).rev().max_by_key(|index| active[*index].available);
    let largest = (0..next.len()).max_by_key(|index| next[*index]);
    let (Some(most_serving), Some(largest)) = (most_serving, largest) else { return };
    if target.desired > 0 && !serves_on && active[most_serving].available > 0 && next[largest] > 0 {
        next[largest] -= 1;
        next[most_serving] += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn broken_rollout(old: u32, new: u32) -> [Counts; 2] {
        [Counts { wanted: old, available: old }, Counts { wanted: new, available: 0 }]
    }

    fn target(desired: u32, surge: u32, largest_before: u32) -> Target {
        Target { desired, surge, largest_before: Some(largest_before) }
    }

    #[test]
    fn a_paused_rollout_of_two_and_four_that_is_scaled_to_one_keeps_one_of_each() {
        assert_eq!(share(target(1, 1, 7), &broken_rollout(2, 4)), [1, 1]);
        assert_eq!(share(target(3, 1, 2), &broken_rollout(1, 1)), [2, 2]);
    }

    #[test]
    fn four_to_one_to_four_has_two_old_ones() {
        assert_eq!(share(target(1, 1, 5), &broken_rollout(3, 2)), [1, 1]);
        assert_eq!(share(target(4, 1, 2), &broken_rollout(1, 1)), [2, 3]);
    }

    /// From Kubernetes' documentation: 10 replicas with a surge of 3, 8 old and 5 new, are scaled to 15.
    #[test]
    fn the_example_of_the_documentation_comes_out_as_it_says() {
        assert_eq!(share(target(15, 3, 13), &broken_rollout(8, 5)), [11, 7]);
    }

    #[test]
    fn the_only_one_that_serves_stays_beside_a_large_broken_revision() {
        assert_eq!(share(target(1, 1, 11), &broken_rollout(1, 10)), [1, 1]);
    }

    #[test]
    fn nothing_is_kept_of_a_deployment_that_is_scaled_to_zero() {
        assert_eq!(share(target(0, 1, 5), &broken_rollout(3, 2)), [0, 0]);
    }

    /// What Kubernetes does, written anew from its documentation and with its floating-point numbers, as the controller loops.
    mod kubernetes {
        pub(super) struct Set {
            pub(super) size: i32,
            pub(super) age: usize,
        }

        /// Sizes after the scaling, by age.
        pub(super) fn scale(desired: i32, surge: i32, max_before: i32, mut sets: Vec<Set>) -> Vec<i32> {
            let max_now = if desired > 0 { desired + surge } else { 0 };
            let to_add = max_now - sets.iter().map(|set| set.size).sum::<i32>();
            sets.sort_by(|a, b| {
                let by_age = if to_add > 0 { b.age.cmp(&a.age) } else { a.age.cmp(&b.age) };
                b.size.cmp(&a.size).then(by_age)
            });
            let mut added = 0;
            for set in &mut sets {
                let scaled = f64::from(set.size) * f64::from(desired + surge) / f64::from(max_before);
                let fraction = if desired == 0 { -set.size } else { scaled.round() as i32 - set.size };
                let allowed = to_add - added;
                let proportion = match to_add.signum() {
                    _ if allowed == 0 => 0,
                    1 => fraction.min(allowed),
                    -1 => fraction.max(allowed),
                    _ => 0,
                };
                set.size += proportion;
                added += proportion;
            }
            if let Some(first) = sets.first_mut().filter(|_| to_add != 0) {
                first.size = (first.size + to_add - added).max(0);
            }
            sets.sort_by_key(|set| set.age);
            sets.into_iter().map(|set| set.size).collect()
        }
    }

    prop_compose! {
        fn any_active()(wanted in 1u32..40)(wanted in Just(wanted), available in 0..=wanted) -> Counts {
            Counts { wanted, available }
        }
    }

    proptest! {
        #[test]
        fn revisions_are_scaled_as_kubernetes_scales_them(
            desired in 0u32..60, surge in 0u32..20, largest_before in 1u32..80,
            active in prop::collection::vec(any_active(), 2..5),
        ) {
            let target = target(desired, surge, largest_before);
            let sets = active.iter().enumerate().map(|(age, counts)| kubernetes::Set { size: counts.wanted as i32, age });
            let expected = kubernetes::scale(desired as i32, surge as i32, largest_before as i32, sets.collect());
            let expected: Vec<u32> = expected.into_iter().map(|size| size as u32).collect();
            prop_assert_eq!(in_proportion(target, &active), expected.clone());
            let given = share(target, &active);
            let serve = |sizes: &[u32]| -> u32 {
                sizes.iter().zip(&active).map(|(size, counts)| counts.available.min(*size)).sum()
            };
            if desired == 0 || serve(&expected) > 0 {
                prop_assert_eq!(given, expected);
            } else {
                prop_assert_eq!(given.iter().sum::<u32>(), expected.iter().sum::<u32>());
                prop_assert!(serve(&given) > 0 || serve(&[u32::MAX; 5]) == 0, "nothing serves of {active:?}: {given:?}");
            }
        }
    }
}
