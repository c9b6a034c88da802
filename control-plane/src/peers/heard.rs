use api::{replica::ReplicaPhase, session::WorkerUp};

use super::decision::Asked;

/// Compiled images that a worker tells of as it begins a session.
const MAX_CACHED: usize = 10_000;

/// What is left of a message when what may not be said has been cut out. `None`: nothing.
pub(super) fn cut(message: WorkerUp, may: &mut impl FnMut(&Asked<'_>) -> bool) -> Option<WorkerUp> {
    match message {
        WorkerUp::Hello(mut hello) => {
            // What runs is known by its seal.
            hello.labels.retain(|key, _| may(&Asked::Label(key)));
            hello.taints.retain(|taint| may(&Asked::Taint(&taint.key)));
            hello.cached.truncate(MAX_CACHED);
            Some(WorkerUp::Hello(hello))
        }
        // That something has ended is heard of everything: it is how a worker answers who stops what it does not run.
        WorkerUp::Phase { phase: ReplicaPhase::Stopped, .. } | WorkerUp::Heartbeat | WorkerUp::Leaving => Some(message),
        WorkerUp::Phase { ref id, .. }
        | WorkerUp::Traps { ref id, .. }
        | WorkerUp::Log { ref id, .. }
        | WorkerUp::Slots { ref id, .. } => may(&Asked::Says(id)).then_some(message),
        WorkerUp::Cached { ref digest } => may(&Asked::Compiled(digest)).then_some(message),
        WorkerUp::Usage(mut usage) => {
            usage.retain(|used| may(&Asked::Says(&used.id)));
            (!usage.is_empty()).then_some(WorkerUp::Usage(usage))
        }
    }
}
