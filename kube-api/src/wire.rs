//! Protobuf's encoding: fields as numbers and values, without what they mean, read and written.

use std::borrow::Cow;

/// Bytes that are no protobuf, or hold too much.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) Cow<'static, str>);

/// The value of a field, as far as its encoding tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire<'a> {
    /// A number or a truth.
    Number(u64),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
    /// The bits of a number of 64 bits, whatever it is.
    Fixed(u64),
}

/// The fields of a message, in the order in which they stand.
pub(crate) fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { rest: bytes }
}

/// See [`fields`]. It ends after the first error.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u64, Wire<'a>), Malformed> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Fixed(self.fixed(8)?),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed(self.fixed(4)?),
            _ => return Err(Malformed("a field has an encoding that is not known".into())),
        };
        Ok((key >> 3, value))
    }

    fn fixed(&mut self, bytes: u64) -> Result<u64, Malformed> {
        let taken = self.take(bytes)?;
        Ok(taken.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        // Seven bits in each byte, the lowest first: ten bytes hold 64 bits.
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed("a number is longer than ten bytes".into()))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or_else(|| Malformed("it ends in the middle of a field".into()))?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The bytes of a message, as they come to be.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl From<Vec<u8>> for Writer {
    /// What is written goes behind this.
    fn from(begun: Vec<u8>) -> Self {
        Self(begun)
    }
}

impl Writer {
    pub(crate) fn written(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn number(&mut self, field: u32, number: u64) {
        self.varint(u64::from(field) << 3);
        self.varint(number);
    }

    pub(crate) fn fixed(&mut self, field: u32, bits: u64) {
        self.varint(u64::from(field) << 3 | 1);
        self.0.extend(bits.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A message within this one.
    pub(crate) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}
