//! The code of a divided component: parts of the whole, and little that is written in place of what was taken out. So it is handed
//! over and hashed without a copy of it.

use std::ops::Range;

use api::Digest;
use sha2::{Digest as _, Sha256};

use crate::MAX_COMPONENT_BYTES;

/// Zeros are hashed so many at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A component that is made of parts of another. It is kept as what it is made of, which says nothing without the other one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Code {
    pub(super) pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// These bytes of the whole.
    Part(Range<usize>),
    Written(Vec<u8>),
    /// So many zeros.
    Zeros(usize),
}

impl Code {
    /// The bytes, for a compiler; `None`: it is made of more than the whole has, or would be larger than a component may be.
    pub fn bytes(&self, whole: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.length(whole)?);
        self.each(whole, |part| bytes.extend_from_slice(part))?;
        Some(bytes)
    }

    /// The digest of these bytes; `None` as for [`bytes`](Self::bytes).
    pub fn digest(&self, whole: &[u8]) -> Option<Digest> {
        self.length(whole)?;
        let mut digest = Sha256::new();
        self.each(whole, |part| digest.update(part))?;
        Some(Digest::from_sha256(digest.finalize().into()))
    }

    fn length(&self, whole: &[u8]) -> Option<usize> {
        let length = |piece: &Piece| match piece {
            Piece::Part(range) => whole.get(range.clone()).map(<[u8]>::len),
            piece => Some(piece.length()),
        };
        let all = self.pieces.iter().try_fold(0_usize, |all, piece| all.checked_add(length(piece)?))?;
        (all as u64 <= MAX_COMPONENT_BYTES).then_some(all)
    }

    fn each(&self, whole: &[u8], mut take: impl FnMut(&[u8])) -> Option<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Part(range) => take(whole.get(range.clone())?),
                Piece::Written(bytes) => take(bytes),
                Piece::Zeros(count) => {
                    let mut left = *count;
                    while left > 0 {
                        let now = left.min(ZEROS.len());
                        take(&ZEROS[..now]);
                        left -= now;
                    }
                }
            }
        }
        Some(())
    }

    pub(super) fn part(&mut self, part: Range<usize>) {
        self.push(Piece::Part(part));
    }

    pub(super) fn written(&mut self, bytes: Vec<u8>) {
        self.push(Piece::Written(bytes));
    }

    pub(super) fn zeros(&mut self, count: usize) {
        self.push(Piece::Zeros(count));
    }

    /// A section with this body.
    pub(super) fn section(&mut self, id: u8, body: Self) {
        let mut head = vec![id];
        super::sections::unsigned(&mut head, body.pieces.iter().map(Piece::length).sum());
        self.written(head);
        body.pieces.into_iter().for_each(|piece| self.push(piece));
    }

    /// What goes on where the last piece ends becomes one with it.
    fn push(&mut self, piece: Piece) {
        match (self.pieces.last_mut(), piece) {
            (Some(Piece::Part(last)), Piece::Part(part)) if last.end == part.start => last.end = part.end,
            (Some(Piece::Written(last)), Piece::Written(bytes)) => last.extend(bytes),
            (_, piece) => self.pieces.push(piece),
        }
    }
}

impl Piece {
    fn length(&self) -> usize {
        match self {
            Self::Part(range) => range.len(),
            Self::Written(bytes) => bytes.len(),
            Self::Zeros(count) => *count,
        }
    }
}

impl From<Vec<u8>> for Code {
    fn from(written: Vec<u8>) -> Self {
        Self { pieces: vec![Piece::Written(written)] }
    }
}
