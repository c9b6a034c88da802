//! How long an edit takes from saved to served.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use api::ObjectKey;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The last edit, as far as it is not served yet. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Edits(Arc<Mutex<Option<Edit>>>);

#[derive(Debug)]
struct Edit {
    saved: Instant,
    /// What compilers took of it; `None`: nothing was built.
    build: Option<Duration>,
    /// Those that it concerns and that are not served yet.
    deployments: BTreeSet<ObjectKey>,
}

/// From saved to served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Took {
    all: Duration,
    build: Option<Duration>,
}

impl Edits {
    /// What was saved then is applied now. Until [`Self::concerns`] says more, it may concern any of these.
    pub(super) fn begin(&self, saved: Instant, build: Option<Duration>, deployments: BTreeSet<ObjectKey>) {
        *self.0.lock() = Some(Edit { saved, build, deployments });
    }

    /// It concerns no others than these.
    pub(super) fn concerns(&self, changed: &BTreeSet<ObjectKey>) {
        if let Some(edit) = &mut *self.0.lock() {
            edit.deployments.retain(|deployment| changed.contains(deployment));
        }
    }

    /// A Deployment is served as it is to be since then. Returns how long the last edit took, if it is that; if it was
    /// served before, as after a return to what still ran, no time can be told, and no later rollout is the edit's.
    pub(super) fn served(&self, deployment: &ObjectKey, at: Instant) -> Option<Took> {
        let mut last = self.0.lock();
        let edit = last.as_mut()?;
        let is_its = edit.deployments.remove(deployment);
        let all = at.checked_duration_since(edit.saved)?;
        is_its.then_some(Took { all, build: edit.build })
    }
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "served in {:.2} s", self.all.as_secs_f32())?;
        match self.build {
            Some(build) => {
                let ours = self.all.saturating_sub(build);
                write!(f, " (build {:.2} s, ours {:.2} s)", build.as_secs_f32(), ours.as_secs_f32())
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_told_once_of_each_deployment_that_it_concerns() {
        let [shop, cart] = ["shop", "cart"].map(|name| ObjectKey::new("default", name));
        let (edits, saved) = (Edits::default(), Instant::now());
        let after = |millis| saved + Duration::from_millis(millis);
        assert_eq!(edits.served(&shop, saved), None, "nothing was edited");
        edits.begin(saved, Some(Duration::from_millis(600)), [shop.clone(), cart.clone()].into());
        edits.concerns(&[shop.clone()].into());
        assert_eq!(edits.served(&cart, after(1)), None);
        let took = edits.served(&shop, after(900)).unwrap();
        assert_eq!(took.to_string(), "served in 0.90 s (build 0.60 s, ours 0.30 s)");
        assert_eq!(edits.served(&shop, after(1000)), None);
        edits.begin(after(2000), None, [shop.clone()].into());
        assert_eq!(edits.served(&shop, after(1000)), None, "it ran already");
        assert_eq!(edits.served(&shop, after(9000)), None, "a rollout of something else");
        edits.begin(saved, None, [cart.clone()].into());
        assert_eq!(edits.served(&cart, after(300)).unwrap().to_string(), "served in 0.30 s");
    }
}
