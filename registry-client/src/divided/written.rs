//! The parts of a component as bytes, to be handed from one process to another.

use super::{
    Divided, Memory,
    code::{Code, Piece},
};

const PART: usize = 0;
const WRITTEN: usize = 1;
const ZEROS: usize = 2;

/// A number in them, in bytes.
const NUMBER: usize = size_of::<u64>();

impl Divided {
    /// As bytes that [`read`](Self::read) takes. They are few: what they tell of is in the component.
    pub fn write(&self) -> Vec<u8> {
        let mut written = Vec::new();
        numbers(&mut written, &[self.code.pieces.len(), self.memories.len(), self.variables.len()]);
        for piece in &self.code.pieces {
            match piece {
                Piece::Part(range) => numbers(&mut written, &[PART, range.start, range.end]),
                Piece::Written(bytes) => {
                    numbers(&mut written, &[WRITTEN, bytes.len()]);
                    written.extend_from_slice(bytes);
                }
                Piece::Zeros(count) => numbers(&mut written, &[ZEROS, *count]),
            }
        }
        for memory in &self.memories {
            numbers(&mut written, &[memory.length, memory.segments.len()]);
            for (place, segment) in &memory.segments {
                numbers(&mut written, &[*place, segment.start, segment.end]);
            }
        }
        self.variables.iter().for_each(|value| written.extend_from_slice(&value.to_le_bytes()));
        written
    }

    /// What was written. It takes little more memory than the bytes do, whoever wrote them; `None`: they are something else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut left = bytes;
        let (pieces, memories, variables) = (count(&mut left)?, count(&mut left)?, number(&mut left)?);
        let code = Code { pieces: (0..pieces).map(|_| piece(&mut left)).collect::<Option<_>>()? };
        let memories = (0..memories).map(|_| memory(&mut left)).collect::<Option<_>>()?;
        let value = |left: &mut &[u8]| Some(i32::from_le_bytes(*left.split_off(..4)?.as_array()?));
        if variables > left.len() / 4 {
            return None;
        }
        let variables = (0..variables).map(|_| value(&mut left)).collect::<Option<_>>()?;
        left.is_empty().then_some(Self { code, memories, variables })
    }
}

fn piece(left: &mut &[u8]) -> Option<Piece> {
    Some(match number(left)? {
        PART => Piece::Part(number(left)?..number(left)?),
        WRITTEN => {
            let length = number(left)?;
            Piece::Written(left.split_off(..length)?.to_vec())
        }
        ZEROS => Piece::Zeros(number(left)?),
        _ => return None,
    })
}

fn memory(left: &mut &[u8]) -> Option<Memory> {
    let (length, segments) = (number(left)?, count(left)?);
    let segment = |left: &mut &[u8]| Some((number(left)?, number(left)?..number(left)?));
    Some(Memory { length, segments: (0..segments).map(|_| segment(left)).collect::<Option<_>>()? })
}

fn numbers(into: &mut Vec<u8>, numbers: &[usize]) {
    numbers.iter().for_each(|number| into.extend_from_slice(&(*number as u64).to_le_bytes()));
}

/// How many there are of something that takes two numbers at least.
fn count(left: &mut &[u8]) -> Option<usize> {
    number(left).filter(|count| *count <= left.len() / (2 * NUMBER))
}

fn number(left: &mut &[u8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(*left.split_off(..NUMBER)?.as_array()?)).ok()
}
