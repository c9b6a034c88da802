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
    /// When it is to be told, if that was held back.
    held_back: Option<Timestamp>,
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
            (self.told, self.held_back) = (0, None);
        }
        first
    }

    /// When requests are told of that wait then and were not told of because others had been just before.
    pub(super) fn next_telling(&self) -> Option<Timestamp> {
        self.held_back
    }

    /// Who waits all the same is told of anew: replicas came or went, or what was held back is due.
    pub(super) fn forget_told(&mut self) {
        self.told = 0;
    }

    /// Whether it is to be told that requests wait: when the first does, and each time that twice as many do.
    pub(super) fn tells(&mut self, has_ready: bool, now: Timestamp) -> bool {
        let again = self.told_at.map(|at| at + TELL_AT_MOST).filter(|again| *again > now);
        if self.waiting.is_empty() || self.len() < 2 * self.told {
            return false;
        }
        if self.told == 0 && has_ready && again.is_some() {
            self.held_back = again;
            return false;
        }
        self.held_back = None;
        (self.told, self.told_at) = (self.len(), Some(now));
        true
    }
}
