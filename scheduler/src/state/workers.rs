use std::ops::Index;

use api::WorkerName;

use super::Worker;

/// All workers, in order of their names. Placement goes through them by position, which is far cheaper than by name.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    #[allow(clippy::vec_box, reason = "a worker that comes moves those after it: pointers, not workers")]
    sorted: Vec<Box<Worker>>,
}

impl Workers {
    fn position(&self, name: &WorkerName) -> Result<usize, usize> {
        self.sorted.binary_search_by(|worker| worker.name.cmp(name))
    }

    pub(crate) fn get(&self, name: &WorkerName) -> Option<&Worker> {
        self.position(name).ok().map(|at| &*self.sorted[at])
    }

    pub(crate) fn get_mut(&mut self, name: &WorkerName) -> Option<&mut Worker> {
        self.position(name).ok().map(|at| &mut *self.sorted[at])
    }

    pub(crate) fn contains(&self, name: &WorkerName) -> bool {
        self.position(name).is_ok()
    }

    /// Adds a worker. Nothing happens if one of its name is there.
    pub(crate) fn add(&mut self, worker: Worker) {
        if let Err(at) = self.position(&worker.name) {
            self.sorted.insert(at, Box::new(worker));
        }
    }

    pub(crate) fn remove(&mut self, name: &WorkerName) {
        if let Ok(at) = self.position(name) {
            self.sorted.remove(at);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Worker> {
        self.sorted.iter().map(|worker| &**worker)
    }

    /// All of them once, beginning at a position and going round.
    pub(crate) fn from(&self, first: usize) -> impl Iterator<Item = &Worker> {
        let (before, after) = self.sorted.split_at(first.min(self.sorted.len()));
        after.iter().chain(before).map(|worker| &**worker)
    }
}

impl Index<&WorkerName> for Workers {
    type Output = Worker;

    fn index(&self, name: &WorkerName) -> &Worker {
        self.get(name).expect("the caller has looked")
    }
}
