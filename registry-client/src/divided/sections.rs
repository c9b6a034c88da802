//! The sections of a binary, each with its identifier and its length: the same form in components and in modules.

use std::ops::{Range, RangeInclusive};

use wasmparser::{BinaryReader, ConstExpr, Operator};

pub(super) const COMPONENT_START: &[u8] = b"\0asm\x0d\0\x01\0";
pub(super) const MODULE_START: &[u8] = b"\0asm\x01\0\0\0";

/// Identifiers that sections of a component have.
pub(super) const COMPONENT: RangeInclusive<u8> = 0..=12;
pub(super) const CORE_MODULE: u8 = 1;
pub(super) const NESTED_COMPONENT: u8 = 4;

/// Identifiers that sections of a module have.
pub(super) const MODULE: RangeInclusive<u8> = 0..=13;
pub(super) const IMPORT: u8 = 2;
pub(super) const MEMORY: u8 = 5;
pub(super) const GLOBAL: u8 = 6;
pub(super) const DATA: u8 = 11;
pub(super) const DATA_COUNT: u8 = 12;

pub(super) struct Section<'a> {
    pub(super) id: u8,
    pub(super) body: &'a [u8],
    /// Where the body begins in the component.
    pub(super) at: usize,
    /// Where the section is there, with what stands before the body.
    pub(super) whole: Range<usize>,
}

/// What comes after the first eight bytes of what is at such a place of the component; `None`: it is cut off, or has what is not
/// known.
pub(super) fn read(bytes: &[u8], at: usize, known: RangeInclusive<u8>) -> Option<Vec<Section<'_>>> {
    let mut reader = BinaryReader::new(bytes.get(8..)?, at + 8);
    let mut sections = Vec::new();
    while !reader.eof() {
        let begins = reader.original_position();
        let id = reader.read_u8().ok().filter(|id| known.contains(id))?;
        let length = reader.read_var_u32().ok()?;
        let at = reader.original_position();
        let body = reader.read_bytes(usize::try_from(length).ok()?).ok()?;
        sections.push(Section { id, body, at, whole: begins..reader.original_position() });
    }
    Some(sections)
}

/// What an expression is that is a number of 32 bits and nothing else.
pub(super) fn constant(expression: &ConstExpr<'_>) -> Option<i32> {
    let mut operators = expression.get_operators_reader().into_iter();
    match (operators.next()?.ok()?, operators.next()?.ok()?, operators.next()) {
        (Operator::I32Const { value }, Operator::End, None) => Some(value),
        _ => None,
    }
}

/// In LEB128. A length beyond 32 bits is one that nobody reads.
pub(super) fn unsigned(into: &mut Vec<u8>, number: usize) {
    let mut left = number;
    while left >= 0x80 {
        into.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    into.push(left as u8);
}

pub(super) fn signed(into: &mut Vec<u8>, number: i32) {
    let mut left = number;
    loop {
        let byte = (left & 0x7f) as u8;
        left >>= 7;
        if (left == 0 && byte & 0x40 == 0) || (left == -1 && byte & 0x40 != 0) {
            return into.push(byte);
        }
        into.push(byte | 0x80);
    }
}
