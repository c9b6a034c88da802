use api::ReplicaId;

use crate::{ReplicaState, state::Replica};

/// Which of a revision's replicas go when it has `surplus` too many, as Kubernetes chooses them: those without a worker,
/// then those that do not serve, then the youngest. At most `budget` of them are available ones.
pub(crate) fn choose<'a>(live: impl Iterator<Item = &'a Replica>, surplus: u32, budget: u32) -> Vec<ReplicaId> {
    let mut candidates: Vec<&Replica> = live.collect();
    candidates.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.id.cmp(&b.id)));
    let mut budget = budget;
    let mut chosen = Vec::new();
    for replica in candidates.into_iter().take(surplus as usize) {
        if replica.available {
            if budget == 0 {
                break;
            }
            budget -= 1;
        }
        chosen.push(replica.id.clone());
    }
    chosen
}

/// Lower goes first.
fn rank(replica: &Replica) -> impl Ord + use<> {
    let state = match replica.state {
        ReplicaState::Standby { .. } | ReplicaState::Unplaced(_) => 0,
        ReplicaState::BackOff { .. } => 1,
        ReplicaState::Unknown => 2,
        ReplicaState::Starting => 3,
        ReplicaState::NotReady => 4,
        ReplicaState::Ready | ReplicaState::Stopping => 5,
    };
    let youngest_first = |at: Option<api::Timestamp>| std::cmp::Reverse(at);
    (
        replica.available,
        state,
        youngest_first(replica.ready_since),
        std::cmp::Reverse(replica.restarts),
        youngest_first(Some(replica.created)),
    )
}
