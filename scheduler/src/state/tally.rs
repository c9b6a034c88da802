use api::ReplicaId;

use super::{Replica, RevisionState};

impl RevisionState {
    /// Counts a replica as it is now.
    pub(crate) fn count(&mut self, replica: &Replica) {
        if !replica.is_live() {
            let apart = if replica.is_standby() { &mut self.standbys } else { &mut self.stopping };
            apart.insert(replica.id.clone());
            return;
        }
        self.live.insert(replica.id.clone());
        if replica.leaving {
            self.leaving.insert(replica.id.clone());
            self.leaving_ready += u32::from(replica.is_ready());
        }
        if replica.worker.is_none() {
            self.unplaced.insert(replica.id.clone());
        }
        if replica.is_troubled() {
            self.troubled.insert(replica.id.clone());
        }
        self.ready += u32::from(replica.is_ready());
        self.available += u32::from(replica.available);
    }

    /// Takes back what [`Self::count`] counted, before the replica changes or goes.
    pub(crate) fn discount(&mut self, replica: &Replica) {
        let id: &ReplicaId = &replica.id;
        self.stopping.remove(id);
        self.standbys.remove(id);
        if self.live.remove(id) {
            if self.leaving.remove(id) {
                self.leaving_ready -= u32::from(replica.is_ready());
            }
            self.unplaced.remove(id);
            self.troubled.remove(id);
            self.ready -= u32::from(replica.is_ready());
            self.available -= u32::from(replica.available);
        }
    }
}
