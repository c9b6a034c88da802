//! The variables of a module that can be set: how they begin decides nothing about its code.

use wasmparser::{BinaryReader, Global, GlobalSectionReader, ValType};

use super::{
    code::Code,
    sections::{self, Section},
};

/// Variables that are taken out of one component.
const MAX_VARIABLES: usize = 1 << 13;
/// The bits above the number: far from what programs begin with, so that the mark is found again.
const MARK: i32 = 0x2d69_8000;

pub(super) fn mark(number: usize) -> i32 {
    MARK | i32::try_from(number % MAX_VARIABLES).unwrap_or_default()
}

/// The section with marks for the values of all that are numbers of 32 bits; `None`: it cannot be read.
pub(super) fn take(section: &Section<'_>, taken: &mut Vec<i32>) -> Option<Code> {
    let reader = GlobalSectionReader::new(BinaryReader::new(section.body, 0)).ok()?;
    let mut written = Vec::new();
    sections::unsigned(&mut written, usize::try_from(reader.count()).ok()?);
    let mut globals = reader.into_iter();
    loop {
        let begins = globals.original_position();
        let Some(global) = globals.next() else { return Some(written.into()) };
        let value = beginning(&global.ok()?);
        let whole = section.body.get(begins..globals.original_position())?;
        match value {
            Some(value) if taken.len() < MAX_VARIABLES => {
                // An `i32` that can be set, an `i32.const`, and the end.
                written.extend([0x7f, 1, 0x41]);
                sections::signed(&mut written, mark(taken.len()));
                written.push(0x0b);
                taken.push(value);
            }
            _ => written.extend_from_slice(whole),
        }
    }
}

fn beginning(global: &Global<'_>) -> Option<i32> {
    let plain = global.ty.mutable && !global.ty.shared && global.ty.content_type == ValType::I32;
    sections::constant(&global.init_expr).filter(|_| plain)
}
