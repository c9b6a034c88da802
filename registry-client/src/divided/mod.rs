//! A component whose modules come with the memory of a program that has run already, as toolchains make of an interpreter and a
//! script, divided into its code and that memory: after an edit of the script the code is the same.

mod code;
mod globals;
mod memory;
mod sections;
mod written;

use std::ops::Range;

pub use code::Code;
use sections::{COMPONENT, COMPONENT_START, CORE_MODULE, MODULE_START, NESTED_COMPONENT};

/// Components within components that are looked into.
const MAX_DEPTH: usize = 8;
/// With less memory than this, in bytes, a component is no program that has run.
const MIN_MEMORY_BYTES: usize = 256 << 10;

/// Bytes of a mark: at the beginning and at the end of each memory that was taken out.
pub const MEMORY_MARK_BYTES: usize = 16;

/// The parts of a component. What a compiler makes of `code` becomes what it would make of the whole when each mark is replaced
/// by what was taken out. What they tell of is in the component, and is not copied out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divided {
    /// A component that differs from the whole in how its memories and variables begin, and in nothing that it does: each
    /// memory is zeros between two marks, and each variable is a mark.
    pub code: Code,
    /// The memories that were taken out, in the order of their marks.
    pub memories: Vec<Memory>,
    /// The values of variables that were taken out, in the order of their marks.
    pub variables: Vec<i32>,
}

/// What a memory begins with: zeros, but for its segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// In bytes, from its mark on.
    pub length: usize,
    /// The place of each in the memory, and where its bytes are in the component. Where they overlap, the later one counts.
    pub segments: Vec<(usize, Range<usize>)>,
}

/// What stands at both ends of a memory in its place. Neither end is zero, since compilers leave out zeros at the ends.
pub fn memory_mark(number: usize) -> [u8; MEMORY_MARK_BYTES] {
    let mut mark = *b"sampan\xa5\x5a\0\0\0\0\x5a\xa5\xf1\xe7";
    mark[8..12].copy_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    mark
}

/// What stands in place of the value of a variable: a number of which no written form has fewer bytes than that of any other.
pub fn variable_mark(number: usize) -> i32 {
    globals::mark(number)
}

/// Divides a component; `None`: it brings no such memory, or brings it in a way that is not known here.
///
/// It reads no function's body and checks nothing: whoever compiles the code does.
pub fn divide(component: &[u8]) -> Option<Divided> {
    let mut divided = Divided { code: Code::default(), memories: Vec::new(), variables: Vec::new() };
    divided.code = divided.component(component, 0, 0)?;
    let taken: usize = divided.memories.iter().map(|memory| memory.length).sum();
    (taken >= MIN_MEMORY_BYTES).then_some(divided)
}

impl Divided {
    /// Of a component that begins `at` that place of the whole.
    fn component(&mut self, bytes: &[u8], at: usize, depth: usize) -> Option<Code> {
        if depth > MAX_DEPTH || !bytes.starts_with(COMPONENT_START) {
            return None;
        }
        let mut code = Code::from(COMPONENT_START.to_vec());
        for section in sections::read(bytes, at, COMPONENT)? {
            match section.id {
                CORE_MODULE => code.section(CORE_MODULE, self.module(section.body, section.at)?),
                NESTED_COMPONENT => {
                    code.section(NESTED_COMPONENT, self.component(section.body, section.at, depth + 1)?);
                }
                _ => code.part(section.whole),
            }
        }
        Some(code)
    }

    fn module(&mut self, bytes: &[u8], at: usize) -> Option<Code> {
        if !bytes.starts_with(MODULE_START) {
            return None;
        }
        let sections = sections::read(bytes, at, sections::MODULE)?;
        let memory = memory::Taken::of(&sections);
        let mut code = Code::from(MODULE_START.to_vec());
        for section in sections {
            match (section.id, &memory) {
                (sections::GLOBAL, _) => code.section(section.id, globals::take(&section, &mut self.variables)?),
                (sections::DATA_COUNT, Some(memory)) => code.section(section.id, memory.count()),
                (sections::DATA, Some(memory)) => code.section(section.id, memory.marked(self.memories.len())),
                _ => code.part(section.whole),
            }
        }
        self.memories.extend(memory.map(memory::Taken::into_memory));
        Some(code)
    }
}

#[cfg(test)]
mod tests;
