//! Who makes room for whom.

use std::collections::BTreeSet;

use api::ReplicaId;
use scheduler::{Action, ReplicaState, ReplicaView, Subject};

use crate::world::World;

/// Workers that are left alone come to rest within this time: nobody takes turns.
const RESTS_WITHIN: std::time::Duration = std::time::Duration::from_secs(90);

impl World {
    /// Only those of a lower priority, of others, make room, and only for those who may ask for it. Answers who did in this step.
    pub(crate) fn check_preemptions(&mut self, actions: &[Action]) -> BTreeSet<ReplicaId> {
        let mut preempted = BTreeSet::new();
        for action in actions {
            let Action::Emit { about: Subject::Replica(victim), reason: "Preempted", message, .. } = action else {
                continue;
            };
            let by = message.strip_prefix("Preempted by ").and_then(|rest| rest.split_once(" on worker "));
            let by = by.expect("it says by whom").0;
            let views = &self.control.mirror.replicas;
            let by = views.values().find(|view| view.id.to_string() == by).expect("the preemptor is known");
            let (theirs, ours) = (&by.template.priority, &views[victim].template.priority);
            assert!(theirs.preempts && theirs.value > ours.value, "{victim} ({ours:?}) makes room for {by:?}");
            assert_eq!(by.worker, None, "{} has a place", by.id);
            preempted.insert(victim.clone());
        }
        if !preempted.is_empty() {
            let late = self.is_quiet() && self.now.since(self.quiet_from) > RESTS_WITHIN;
            assert!(!late, "{preempted:?} are still preempted");
        }
        preempted
    }

    /// Whoever waits would not fit anywhere, even if all that matter less were gone; who may not ask for that, as it is.
    pub(crate) fn check_order(&self) {
        let views = self.control.mirror.replicas.values();
        for waiting in views.filter(|view| matches!(view.state, ReplicaState::Unplaced(_))) {
            let open = self.control.mirror.workers.values().filter(|worker| worker.ready && !worker.leaving);
            for worker in open {
                let beside = self
                    .control
                    .mirror
                    .replicas
                    .values()
                    .filter(|held| held.worker.as_ref() == Some(&worker.name) && self.stays_beside(held, waiting));
                let asked = waiting.template.requests;
                let (mut cpu, mut memory, mut count) = (asked.cpu_millis, asked.memory_bytes, 1);
                for held in beside {
                    cpu += held.template.requests.cpu_millis;
                    memory += held.template.requests.memory_bytes;
                    count += 1;
                }
                let capacity = self.scenario.capacity;
                let fits = cpu <= capacity.cpu_millis && memory <= capacity.memory_bytes && count <= capacity.replicas;
                assert!(!fits, "{waiting:?} waits, though it could be on {}", worker.name);
            }
        }
    }

    /// Whether one that runs need not go for one that waits.
    fn stays_beside(&self, held: &ReplicaView, waiting: &ReplicaView) -> bool {
        let (theirs, ours) = (&held.template.priority, &waiting.template.priority);
        let owner = |view: &ReplicaView| self.store.revisions.get(&view.revision).and_then(|it| it.deployment.clone());
        !ours.preempts || theirs.value >= ours.value || owner(held) == owner(waiting)
    }
}
