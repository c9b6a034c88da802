//! Makes of the machine code of a divided component that of the whole: puts memories and values of variables where their marks
//! are.
//!
//! Nothing that the host relies on is written: memory that guests begin with, and values of their variables, are whatever a
//! guest says. A mark that is not there exactly once, since a guest has one like it or the engine writes it otherwise, is left to
//! who then compiles the whole.

use std::ops::Range;

use memchr::memmem;
use object::{Endianness, Object, ObjectSection, read::elf::ElfFile64};
use registry_client::{Divided, MEMORY_MARK_BYTES, memory_mark, variable_mark};

/// Where the engine keeps what memories begin with.
const MEMORIES: &str = ".rodata.wasm";
/// Where the engine keeps what it knows of modules, with the values of variables.
const KNOWN: &str = ".wasmtime.info";

/// A variable there: that it is a number of 32 bits, and the number, in the longest of its forms.
const VARIABLE_BYTES: usize = 6;

/// Fills in what was taken out; `None`, and nothing is changed: the marks are not found.
pub(super) fn fill(artifact: &mut [u8], taken: &Divided) -> Option<()> {
    let (memories, known) = sections(artifact)?;
    let memories = places_of_memories(artifact.get(memories.clone())?, memories.start, taken)?;
    let variables = places_of_variables(artifact.get(known.clone())?, known.start, taken.variables.len())?;
    for (place, memory) in memories.into_iter().zip(&taken.memories) {
        artifact[place].copy_from_slice(memory);
    }
    for (place, value) in variables.into_iter().zip(&taken.variables) {
        artifact[place..place + VARIABLE_BYTES].copy_from_slice(&variable(*value));
    }
    Some(())
}

fn sections(artifact: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let file = ElfFile64::<Endianness>::parse(artifact).ok()?;
    let section = |name| {
        let (begins, length) = file.section_by_name(name)?.file_range()?;
        let begins = usize::try_from(begins).ok()?;
        Some(begins..begins.checked_add(usize::try_from(length).ok()?)?)
    };
    Some((section(MEMORIES)?, section(KNOWN)?))
}

fn places_of_memories(section: &[u8], begins: usize, taken: &Divided) -> Option<Vec<Range<usize>>> {
    let place = |(number, memory): (usize, &Vec<u8>)| {
        let mark = memory_mark(number);
        let mut found = memmem::find_iter(section, &mark);
        let (first, last) = (found.next()?, found.next()?);
        let is_it = found.next().is_none() && last + MEMORY_MARK_BYTES - first == memory.len();
        is_it.then_some(begins + first..begins + first + memory.len())
    };
    taken.memories.iter().enumerate().map(place).collect()
}

fn places_of_variables(section: &[u8], begins: usize, wanted: usize) -> Option<Vec<usize>> {
    let marks: Vec<_> = (0..wanted).map(|number| variable(variable_mark(number))).collect();
    let Some(first) = marks.first() else { return Some(Vec::new()) };
    let mut places = vec![None; wanted];
    // They differ in their number, which is in the two bytes after the first. What comes then is looked for.
    for tail in memmem::find_iter(section, &first[3..]) {
        let Some(place) = tail.checked_sub(3) else { continue };
        let Some(&[_, low, high, ..]) = section.get(place..place + VARIABLE_BYTES) else { continue };
        let number = usize::from(high & 0x7f) << 6 | usize::from(low & 0x7f) >> 1;
        let is_it = marks.get(number).is_some_and(|mark| section[place..].starts_with(mark));
        if is_it && places[number].replace(begins + place).is_some() {
            return None;
        }
    }
    places.into_iter().collect()
}

/// As the engine writes a variable of 32 bits, in as many bytes as the longest takes: seven bits in each.
fn variable(value: i32) -> [u8; VARIABLE_BYTES] {
    let zigzag = (value.cast_unsigned() << 1) ^ (value >> 31).cast_unsigned();
    let seven = |number: u32| ((zigzag >> (7 * number)) & 0x7f) as u8;
    [0, seven(0) | 0x80, seven(1) | 0x80, seven(2) | 0x80, seven(3) | 0x80, seven(4)]
}

#[cfg(test)]
mod tests;
