//! Makes of the machine code of a divided component that of the whole: puts memories and values of variables where their marks
//! are, in a copy that is in memory alone, since it is soon made again.
//!
//! Nothing that the host relies on is written: memory that guests begin with, and values of their variables, are whatever a
//! guest says. A mark that is not there exactly once, since a guest has one like it or the engine writes it otherwise, is left to
//! who then compiles the whole.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    ops::Range,
    os::unix::fs::FileExt,
};

use memchr::memmem;
use object::{Endianness, Object, ObjectSection, read::elf::ElfFile64};
use registry_client::{Divided, MAX_COMPONENT_BYTES, MEMORY_MARK_BYTES, Memory, memory_mark, variable_mark};
use rustix::fs::sendfile;

use super::exchange;

/// Where the engine keeps what memories begin with.
const MEMORIES: &str = ".rodata.wasm";
/// Where the engine keeps what it knows of modules, with the values of variables.
const KNOWN: &str = ".wasmtime.info";

/// A variable there: that it is a number of 32 bits, and the number, in the longest of its forms.
const VARIABLE_BYTES: usize = 6;

/// Where the marks are in the artifact of a component's code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Marks {
    memories: Vec<Range<usize>>,
    variables: Vec<usize>,
}

impl Marks {
    /// Those of what was taken out; `None`: they are not found.
    pub(super) fn find(artifact: &[u8], taken: &Divided) -> Option<Self> {
        let (memories, known) = sections(artifact)?;
        Some(Self {
            memories: places_of_memories(artifact.get(memories.clone())?, memories.start, &taken.memories)?,
            variables: places_of_variables(artifact.get(known.clone())?, known.start, taken.variables.len())?,
        })
    }

    /// A copy of the artifact of the code with what was taken out of this component; `None`: it does not belong there.
    pub(super) fn fill(&self, code: &File, component: &[u8], taken: &Divided) -> io::Result<Option<File>> {
        if !self.are_of(taken, component) {
            return Ok(None);
        }
        let filled = exchange::memory(&[])?;
        filled.set_len(code.metadata()?.len())?;
        copy_but(code, &filled, &self.memories)?;
        for (place, memory) in self.memories.iter().zip(&taken.memories) {
            for (from, segment) in &memory.segments {
                filled.write_all_at(&component[segment.clone()], (place.start + from) as u64)?;
            }
        }
        for (place, value) in self.variables.iter().zip(&taken.variables) {
            filled.write_all_at(&variable(*value), *place as u64)?;
        }
        exchange::seal(&filled)?;
        Ok(Some(filled))
    }

    /// Whether all that was taken out of the component has its place, and no more than the component has.
    fn are_of(&self, taken: &Divided, component: &[u8]) -> bool {
        let lengths = |(place, memory): (&Range<usize>, &Memory)| place.len() == memory.length;
        let fits = |memory: &Memory, (from, segment): &(usize, Range<usize>)| {
            component.get(segment.clone()).is_some()
                && from.checked_add(segment.len()).is_some_and(|end| end <= memory.length)
        };
        let segments = || taken.memories.iter().flat_map(|memory| memory.segments.iter().map(move |it| (memory, it)));
        self.memories.len() == taken.memories.len()
            && self.variables.len() == taken.variables.len()
            && self.memories.iter().zip(&taken.memories).all(lengths)
            && segments().all(|(memory, segment)| fits(memory, segment))
            && segments().map(|(_, (_, segment))| segment.len() as u64).sum::<u64>() <= MAX_COMPONENT_BYTES
    }
}

/// Copies all but some places, which are in order and stay zeros.
fn copy_but(from: &File, mut to: &File, left_out: &[Range<usize>]) -> io::Result<()> {
    let ends = from.metadata()?.len();
    let (mut at, mut left_out) = (0, left_out.iter());
    loop {
        let gap = left_out.next();
        let until = gap.map_or(ends, |gap| gap.start as u64);
        to.seek(SeekFrom::Start(at))?;
        while at < until {
            let count = usize::try_from(until - at).unwrap_or(usize::MAX);
            if sendfile(to, from, Some(&mut at), count)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        match gap {
            Some(gap) => at = gap.end as u64,
            None => return Ok(()),
        }
    }
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

/// In the order of their numbers, which has to be that of the places.
fn places_of_memories(section: &[u8], begins: usize, wanted: &[Memory]) -> Option<Vec<Range<usize>>> {
    let place = |(number, memory): (usize, &Memory)| {
        let mark = memory_mark(number);
        let mut found = memmem::find_iter(section, &mark);
        let (first, last) = (found.next()?, found.next()?);
        let is_it = found.next().is_none() && last + MEMORY_MARK_BYTES - first == memory.length;
        is_it.then_some(begins + first..begins + first + memory.length)
    };
    let places: Vec<_> = wanted.iter().enumerate().map(place).collect::<Option<_>>()?;
    places.is_sorted_by(|one, next| one.end <= next.start).then_some(places)
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
