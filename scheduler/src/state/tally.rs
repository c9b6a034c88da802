use std::collections::BTreeSet;

use api::ReplicaId;

use super::{Replica, RevisionState};

/// What a replica counts as in its revision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    stopping: bool,
    standby: bool,
    live: bool,
    leaving: bool,
    unplaced: bool,
    troubled: bool,
    ready: bool,
    available: bool,
}

impl Standing {
    /// Of one that is not there: before it comes, and after it has gone.
    pub(crate) const ABSENT: Self = Self {
        stopping: false,
        standby: false,
        live: false,
        leaving: false,
        unplaced: false,
        troubled: false,
        ready: false,
        available: false,
    };

    pub(crate) fn of(replica: &Replica) -> Self {
        if !replica.is_live() {
            let standby = replica.is_standby();
            return Self { stopping: !standby, standby, ..Self::ABSENT };
        }
        Self {
            stopping: false,
            standby: false,
            live: true,
            leaving: replica.leaving,
            unplaced: replica.worker.is_none(),
            troubled: replica.is_troubled(),
            ready: replica.is_ready(),
            available: replica.available,
        }
    }
}

impl RevisionState {
    /// Counts a replica that was counted as `before` as what it is `now`. Only what differs costs anything.
    pub(crate) fn recount(&mut self, id: &ReplicaId, before: Standing, now: Standing) {
        member(&mut self.stopping, id, before.stopping, now.stopping);
        member(&mut self.standbys, id, before.standby, now.standby);
        member(&mut self.live, id, before.live, now.live);
        member(&mut self.leaving, id, before.leaving, now.leaving);
        member(&mut self.unplaced, id, before.unplaced, now.unplaced);
        member(&mut self.troubled, id, before.troubled, now.troubled);
        number(&mut self.ready, before.ready, now.ready);
        number(&mut self.available, before.available, now.available);
        number(&mut self.leaving_ready, before.leaving && before.ready, now.leaving && now.ready);
    }
}

fn member(set: &mut BTreeSet<ReplicaId>, id: &ReplicaId, before: bool, now: bool) {
    match (before, now) {
        (false, true) => _ = set.insert(id.clone()),
        (true, false) => _ = set.remove(id),
        _ => {}
    }
}

fn number(count: &mut u32, before: bool, now: bool) {
    *count = *count + u32::from(now) - u32::from(before);
}
