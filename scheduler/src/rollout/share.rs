use crate::{Share, Strategy};

/// What a Deployment's strategy comes to for its wanted number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Replicas there may be above the wanted number.
    pub(crate) surge: u32,
    /// Replicas that must stay available: none is stopped by us below this.
    pub(crate) min_available: u32,
}

/// The bounds of a rolling update. `Recreate` has none: everything may end at once.
pub(crate) fn bounds(strategy: Strategy, desired: u32) -> Bounds {
    let Strategy::RollingUpdate { max_surge, max_unavailable } = strategy else {
        return Bounds { surge: 0, min_available: 0 };
    };
    let surge = of(max_surge, desired, u64::div_ceil);
    let unavailable = of(max_unavailable, desired, |product, hundred| product / hundred);
    // Nothing could ever move if both were zero; Kubernetes then lets one be missing.
    let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
    Bounds { surge, min_available: desired.saturating_sub(unavailable) }
}

fn of(share: Share, desired: u32, divide: fn(u64, u64) -> u64) -> u32 {
    match share {
        Share::Count(count) => count,
        Share::Percent(percent) => {
            u32::try_from(divide(u64::from(percent) * u64::from(desired), 100)).unwrap_or(u32::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rolling(max_surge: Share, max_unavailable: Share, desired: u32) -> Bounds {
        bounds(Strategy::RollingUpdate { max_surge, max_unavailable }, desired)
    }

    #[test]
    fn a_percentage_of_surge_rounds_up_and_one_of_unavailability_down() {
        let quarter = Share::Percent(25);
        assert_eq!(rolling(quarter, quarter, 3), Bounds { surge: 1, min_available: 3 });
        assert_eq!(rolling(quarter, quarter, 10), Bounds { surge: 3, min_available: 8 });
    }

    #[test]
    fn one_may_be_missing_when_both_bounds_are_zero() {
        assert_eq!(rolling(Share::Count(0), Share::Percent(10), 5), Bounds { surge: 0, min_available: 4 });
    }

    #[test]
    fn a_deployment_of_none_has_nothing_to_keep() {
        assert_eq!(rolling(Share::Count(1), Share::Count(0), 0).min_available, 0);
    }
}
