//! A component whose modules come with the memory of a program that has run already, as toolchains make of an interpreter and a
//! script, divided into its code and that memory: after an edit of the script the code is the same.

mod globals;
mod memory;
mod sections;
mod written;

use sections::{COMPONENT, COMPONENT_START, CORE_MODULE, MODULE_START, NESTED_COMPONENT};

/// Components within components that are looked into.
const MAX_DEPTH: usize = 8;
/// With less memory than this, in bytes, a component is no program that has run.
const MIN_MEMORY_BYTES: usize = 256 << 10;

/// Bytes of a mark: at the beginning and at the end of each memory that was taken out.
pub const MEMORY_MARK_BYTES: usize = 16;

/// The parts of a component. What a compiler makes of `code` becomes what it would make of the whole when each mark is replaced
/// by what was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divided {
    /// A component that differs from the whole in how its memories and variables begin, and in nothing that it does: each
    /// memory is zeros between two marks, and each variable is a mark.
    pub code: Vec<u8>,
    /// The memories that were taken out, in the order of their marks.
    pub memories: Vec<Vec<u8>>,
    /// The values of variables that were taken out, in the order of their marks.
    pub variables: Vec<i32>,
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
    let mut divided = Divided { code: Vec::new(), memories: Vec::new(), variables: Vec::new() };
    divided.code = divided.component(component, 0)?;
    let taken: usize = divided.memories.iter().map(Vec::len).sum();
    (taken >= MIN_MEMORY_BYTES).then_some(divided)
}

impl Divided {
    fn component(&mut self, bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
        if depth > MAX_DEPTH || !bytes.starts_with(COMPONENT_START) {
            return None;
        }
        let mut written = COMPONENT_START.to_vec();
        for section in sections::read(bytes, COMPONENT)? {
            match section.id {
                CORE_MODULE => sections::write(&mut written, CORE_MODULE, &self.module(section.body)?),
                NESTED_COMPONENT => {
                    sections::write(&mut written, NESTED_COMPONENT, &self.component(section.body, depth + 1)?);
                }
                _ => written.extend_from_slice(section.whole),
            }
        }
        Some(written)
    }

    fn module(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if !bytes.starts_with(MODULE_START) {
            return None;
        }
        let sections = sections::read(bytes, sections::MODULE)?;
        let memory = memory::Taken::of(&sections);
        let mut written = MODULE_START.to_vec();
        for section in &sections {
            match (section.id, &memory) {
                (sections::GLOBAL, _) => {
                    sections::write(&mut written, section.id, &globals::take(section, &mut self.variables)?);
                }
                (sections::DATA_COUNT, Some(memory)) => sections::write(&mut written, section.id, &memory.count()),
                (sections::DATA, Some(memory)) => {
                    sections::write(&mut written, section.id, &memory.marked(self.memories.len()));
                }
                _ => written.extend_from_slice(section.whole),
            }
        }
        self.memories.extend(memory.map(memory::Taken::into_bytes));
        Some(written)
    }
}

#[cfg(test)]
mod tests;
