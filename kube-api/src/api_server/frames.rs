//! The frames of a streamed answer: what is short is put together, what is long is cut, so that a client that does not read
//! has little waiting for it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// The longest frame.
pub(super) const FRAME_BYTES: usize = 16 << 10;

/// Pieces of text on their way to a client.
#[derive(Debug, Default)]
pub(super) struct Frames {
    ready: VecDeque<Bytes>,
    /// Copied together, not yet a frame.
    short: BytesMut,
}

impl Frames {
    /// Adds to what is to be sent. What is long is not copied.
    pub(super) fn push(&mut self, piece: impl Into<Bytes>) {
        let mut piece = piece.into();
        if self.short.len() + piece.len() <= FRAME_BYTES {
            return self.short.extend_from_slice(&piece);
        }
        self.flush();
        while !piece.is_empty() {
            self.ready.push_back(piece.split_to(piece.len().min(FRAME_BYTES)));
        }
    }

    /// Makes a frame of what is there.
    pub(super) fn flush(&mut self) {
        if !self.short.is_empty() {
            self.ready.push_back(self.short.split().freeze());
        }
    }

    /// Whether nothing is left to send.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.short.is_empty()
    }

    /// The next whole frame.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }
}
