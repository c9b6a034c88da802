//! Requests that wait, in order of arrival, and what was told of them: as the gateway's queue does.

use std::{collections::VecDeque, time::Duration};

use api::Timestamp;

use crate::replay::Request;

/// Where replicas are there but busy, a new queue is told of this often at most.
const TELL_AT_MOST: Duration = Duration::from_millis(5);

#[derive(Default)]
pub(super) struct Line {
    waiting: VecDeque<(Timestamp, Request)>,
    /// So many were told of; 0: none was.
    told: usize,
    told_at: Option<Timestamp>,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn join(&mut self, request: Request, now: Timestamp) {
        self.waiting.push_back((now, request));
    }

    /// The one that waits longest, and since when.
    pub(super) fn first(&self) -> Option<(Timestamp, Request)> {
        self.waiting.front().copied()
    }

    pub(super) fn leave(&mut self) -> Option<(Timestamp, Request)> {
        let first = self.waiting.pop_front();
        if self.waiting.is_empty() {
            self.told = 0;
        }
        first
    }

    /// Replicas came or went: who waits all the same is told of anew.
    pub(super) fn replicas_changed(&mut self) {
        self.told = 0;
    }

    /// Whether it is to be told that requests wait: when the first does, and each time that twice as many do.
    pub(super) fn tells(&mut self, has_ready: bool, now: Timestamp) -> bool {
        let recently = self.told_at.is_some_and(|at| now.since(at) < TELL_AT_MOST);
        let is_new = self.told == 0;
        if self.waiting.is_empty() || (is_new && has_ready && recently) || (!is_new && self.len() < 2 * self.told) {
            return false;
        }
        (self.told, self.told_at) = (self.len(), Some(now));
        true
    }
}
