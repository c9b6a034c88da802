use api::{
    replica::{LogLine, ReplicaPhase},
    session::WorkerUp,
};

use super::decision::Asked;

/// Compiled images that a worker tells of as it begins a session.
const MAX_CACHED: usize = 10_000;
/// Labels of a worker, and taints.
const MAX_LABELS: usize = 100;
/// Replicas of a message that a worker may not speak of, until the rest of it is dropped.
const MAX_REFUSED: usize = 1000;
/// Bytes of what a worker says of a failure, as with messages of Kubernetes' containers.
const MAX_WORDS: usize = 4096;

/// What is left of a message when what may not be said has been cut out. `None`: nothing.
pub(super) fn cut(mut message: WorkerUp, may: &mut impl FnMut(&Asked<'_>) -> bool) -> Option<WorkerUp> {
    match message {
        WorkerUp::Hello(mut hello) => {
            // What runs is known by its seal.
            hello.labels = hello.labels.into_iter().take(MAX_LABELS).collect();
            hello.labels.retain(|key, value| may(&Asked::Label(key, value)));
            hello.taints.truncate(MAX_LABELS);
            hello.taints.retain(|taint| may(&Asked::Taint(&taint.key, &taint.value)));
            hello.cached.truncate(MAX_CACHED);
            Some(WorkerUp::Hello(hello))
        }
        // That something has ended is heard of everything: it is how a worker answers who stops what it does not run.
        WorkerUp::Phase { phase: ReplicaPhase::Stopped, .. } | WorkerUp::Heartbeat | WorkerUp::Leaving => Some(message),
        WorkerUp::Phase { ref id, ref mut phase } => {
            if let ReplicaPhase::Failed(failure) = phase {
                shorten(&mut failure.message, MAX_WORDS);
            }
            may(&Asked::Says(id)).then_some(message)
        }
        WorkerUp::Traps { ref id, ref mut last, .. } => {
            shorten(last, MAX_WORDS);
            may(&Asked::Says(id)).then_some(message)
        }
        WorkerUp::Log { ref id, ref mut lines } => {
            lines.iter_mut().for_each(|line| shorten(&mut line.text, LogLine::MAX_BYTES));
            may(&Asked::Says(id)).then_some(message)
        }
        WorkerUp::Slots { ref id, .. } => may(&Asked::Says(id)).then_some(message),
        WorkerUp::Cached { ref digest } => may(&Asked::Compiled(digest)).then_some(message),
        WorkerUp::Usage(mut usage) => {
            // A worker knows what was placed on it: one that is wrong so often is looked at no further.
            let mut refused = 0;
            usage.retain(|used| {
                let counts = refused < MAX_REFUSED && may(&Asked::Says(&used.id));
                refused += usize::from(!counts);
                counts
            });
            (!usage.is_empty()).then_some(WorkerUp::Usage(usage))
        }
    }
}

fn shorten(text: &mut String, to: usize) {
    text.truncate(text.floor_char_boundary(to));
}
