//! What a message takes in memory beyond its own bytes. Two bytes say that a list has another element, which is as large in memory
//! as its type: a message of 2 MB can stand for a gigabyte.

use super::proto;

/// What a message is made of, of which memory is made beyond what its type has.
pub(crate) struct Shape {
    /// Bytes of its type.
    size: usize,
    /// Numbers of fields, what they hold, and whether there may be many.
    fields: &'static [(u64, Held, bool)],
}

#[derive(Clone, Copy)]
enum Held {
    Text,
    /// By its number among the shapes.
    Message(usize),
}

/// What a map takes for an entry, beside its key and its value.
const ENTRY: usize = 16 + 2 * size_of::<String>();

include!("generated/shapes.rs");

/// The message that a call is made with, or its stream is made of.
pub(crate) fn shape_of(path: &str) -> Option<&'static Shape> {
    let (_, shape) = CALLS.iter().find(|(call, _)| *call == path)?;
    SHAPES.get(*shape)
}

/// A message is none of protobuf's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Adds up what a message takes while its bytes come. It is as strict as who decodes it, or stricter.
pub(crate) struct Scale {
    /// The message, and those in it that have not ended, each with the bytes that are still to come of it.
    open: Vec<(Option<&'static Shape>, usize)>,
    reads: Reads,
    /// Of the number that is being read.
    number: u64,
    shift: u32,
    surplus: usize,
}

#[derive(Clone, Copy)]
enum Reads {
    Key,
    Number,
    /// Of what a field of this key holds.
    Length(u64),
    /// So many bytes are passed over.
    Skip(usize),
}

impl Scale {
    pub(crate) fn new(shape: &'static Shape, bytes: usize) -> Self {
        Self { open: vec![(Some(shape), bytes)], reads: Reads::Key, number: 0, shift: 0, surplus: 0 }
    }

    /// Bytes that it takes beyond its own, as far as it has come.
    pub(crate) fn surplus(&self) -> usize {
        self.surplus
    }

    /// Takes what comes next of it.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) -> Result<(), Malformed> {
        while let Some(first) = bytes.first() {
            if let Reads::Skip(left) = self.reads {
                let count = left.min(bytes.len());
                self.pass(count)?;
                bytes = &bytes[count..];
                self.reads = if count < left { Reads::Skip(left - count) } else { Reads::Key };
            } else {
                self.pass(1)?;
                bytes = &bytes[1..];
                if self.digits(*first)? {
                    continue;
                }
                let number = std::mem::take(&mut self.number);
                self.shift = 0;
                self.reads = self.read(number)?;
            }
            self.close();
        }
        Ok(())
    }

    /// So many bytes have come of all that is open.
    fn pass(&mut self, count: usize) -> Result<(), Malformed> {
        for (_, left) in &mut self.open {
            *left = left.checked_sub(count).ok_or(Malformed)?;
        }
        Ok(())
    }

    /// One more byte of a number. Answers whether there are more.
    fn digits(&mut self, byte: u8) -> Result<bool, Malformed> {
        if self.shift > 63 {
            return Err(Malformed);
        }
        self.number |= u64::from(byte & 0x7f) << self.shift;
        self.shift += 7;
        Ok(byte & 0x80 != 0)
    }

    /// A number is whole. Answers what comes next.
    fn read(&mut self, number: u64) -> Result<Reads, Malformed> {
        match self.reads {
            Reads::Number | Reads::Skip(_) => Ok(Reads::Key),
            Reads::Key => match number & 7 {
                0 => Ok(Reads::Number),
                1 => Ok(Reads::Skip(8)),
                2 => Ok(Reads::Length(number)),
                // What is in a group counts as if it were outside.
                3 | 4 => Ok(Reads::Key),
                5 => Ok(Reads::Skip(4)),
                _ => Err(Malformed),
            },
            Reads::Length(key) => {
                let length = usize::try_from(number).map_err(|_| Malformed)?;
                let shape = self.open.last().and_then(|(shape, _)| *shape);
                let field = shape.and_then(|shape| shape.fields.iter().find(|(field, ..)| *field == key >> 3));
                let Some((_, held, is_list)) = field else { return Ok(skip(length)) };
                let size = match held {
                    Held::Text => size_of::<String>(),
                    Held::Message(at) => SHAPES[*at].size,
                };
                if *is_list {
                    // A list that grows has room for twice as many.
                    self.surplus = self.surplus.saturating_add(2 * size);
                }
                match held {
                    Held::Message(at) if length > 0 => {
                        if self.open.last().is_none_or(|(_, left)| length > *left) {
                            return Err(Malformed);
                        }
                        self.open.push((SHAPES.get(*at), length));
                        Ok(Reads::Key)
                    }
                    Held::Message(_) | Held::Text => Ok(skip(length)),
                }
            }
        }
    }

    /// What has come whole is open no more.
    fn close(&mut self) {
        if matches!(self.reads, Reads::Key) && self.shift == 0 {
            while self.open.len() > 1 && self.open.last().is_some_and(|(_, left)| *left == 0) {
                self.open.pop();
            }
        }
    }
}

fn skip(length: usize) -> Reads {
    if length == 0 { Reads::Key } else { Reads::Skip(length) }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::wire::proto::{KeyValueRequest, Log, LogLine, ObjectKey, WorkerFrame, WorkerHello, WorkerUp};
    use proto::{worker_frame, worker_up};

    fn weighed(call: &str, bytes: &[u8], pieces: usize) -> Result<usize, Malformed> {
        let shape = shape_of(&format!("/sampan.v1.ControlPlane/{call}")).expect("it is a call");
        let mut scale = Scale::new(shape, bytes.len());
        bytes.chunks(pieces).try_for_each(|piece| scale.add(piece))?;
        Ok(scale.surplus())
    }

    fn frame(content: worker_up::Content) -> Vec<u8> {
        let message = Some(worker_frame::Content::Message(WorkerUp { content: Some(content) }));
        WorkerFrame { sequence: 1, acknowledged: 7, content: message, ends: false }.encode_to_vec()
    }

    #[test]
    fn elements_of_lists_weigh_what_their_types_take_however_their_bytes_are_cut() {
        let running = vec![proto::RunningReplica::default(); 1000];
        let hello = WorkerHello { name: "w".into(), running, cached: vec![String::new(); 500], ..Default::default() };
        let bytes = frame(worker_up::Content::Hello(hello));
        let weight = 2 * (1000 * size_of::<proto::RunningReplica>() + 500 * size_of::<String>());
        assert!(bytes.len() < 4096 && weight > 100 * bytes.len());
        for pieces in [1, 2, 3, 1000, bytes.len()] {
            assert_eq!(weighed("WorkerSession", &bytes, pieces), Ok(weight), "in pieces of {pieces}");
        }
    }

    #[test]
    fn text_weighs_nothing_beyond_its_bytes() {
        let text = "\u{a}\u{12}".repeat(10_000);
        let id = Some(ObjectKey { namespace: "a".into(), name: text.clone() });
        let lines = vec![LogLine { at_micros: 1 << 60, source: 3, text }];
        let bytes = frame(worker_up::Content::Log(Log { id, lines }));
        assert_eq!(weighed("WorkerSession", &bytes, 7), Ok(2 * size_of::<LogLine>()));
        let asked = KeyValueRequest { namespace: "shop".into(), bucket: "x".repeat(1000), operation: None };
        assert_eq!(weighed("KeyValue", &asked.encode_to_vec(), 1), Ok(0));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for broken in
            [&[0xff; 11][..], &[0x0f], &[0x22, 0x05, 0x0a], &[0x22, 0x02, 0x0a, 0x7f], &[0x22, 0x01, 0x80, 0x01]]
        {
            let scale = weighed("WorkerSession", broken, 1);
            let decoded = WorkerFrame::decode(broken);
            assert!(decoded.is_err(), "{broken:?}");
            // One that breaks off weighs what came.
            assert!(scale.is_err() || broken == [0x22, 0x05, 0x0a], "{broken:?}: {scale:?}");
        }
        // What is not known is passed over, groups too.
        assert_eq!(weighed("WorkerSession", &[0xfb, 0x01, 0x08, 0x01, 0xfc, 0x01, 0x28, 0x01], 1), Ok(0));
    }
}
