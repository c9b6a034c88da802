//! Who is who among the processes of this machine, for the sessions that are taken here.

use std::collections::HashSet;

use api::{Authorize, Call, WorkerName, session::WorkerUp};
use control_plane::Peers;

use crate::paths::DataDir;

/// Of who has started workers, and knows what was placed on them and on others.
pub(super) struct Rules {
    pub(super) peers: Peers,
    /// Those that were started here.
    pub(super) started: HashSet<WorkerName>,
    pub(super) dir: DataDir,
}

impl Authorize for Rules {
    fn local(&self, started: Option<&WorkerName>, says: Option<&WorkerName>) -> Result<Option<WorkerName>, String> {
        match (started, says) {
            (Some(started), _) => Ok(Some(started.clone())),
            (None, Some(name)) if self.started.contains(name) => {
                Err(format!("worker `{name}` is one that was started here, and another process: choose another --name"))
            }
            (None, says) => Ok(says.cloned()),
        }
    }

    fn socket(&self, worker: &WorkerName) -> Option<String> {
        self.dir.request_socket(&worker.0).to_str().map(str::to_owned)
    }

    fn call(&self, worker: &WorkerName, call: Call<'_>) -> Result<(), String> {
        self.peers.call(worker, call)
    }

    fn hear(&self, worker: &WorkerName, message: WorkerUp) -> Option<WorkerUp> {
        self.peers.hear(worker, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::DataDirArgs;

    #[test]
    fn who_was_started_here_is_that_worker_whatever_it_says_and_nobody_else_is() {
        let (own, other) = (WorkerName("own".into()), WorkerName("other".into()));
        let dir = DataDirArgs { data_dir: Some("/data".into()) }.resolve().unwrap();
        let rules = Rules { peers: Peers::default(), started: [own.clone()].into(), dir };
        assert_eq!(rules.local(Some(&own), Some(&other)), Ok(Some(own.clone())));
        assert_eq!(rules.local(Some(&own), None), Ok(Some(own.clone())));
        assert_eq!(rules.local(None, Some(&other)), Ok(Some(other)));
        assert_eq!(rules.local(None, None), Ok(None));
        let refused = rules.local(None, Some(&own)).unwrap_err();
        assert!(refused.contains("choose another --name"), "{refused}");
        assert_eq!(rules.socket(&own).as_deref(), Some("/data/run/own.sock"));
    }
}
