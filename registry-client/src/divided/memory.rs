//! The memory that a module brings, in segments whose places change with every build, as one that is there from its first page
//! to its last.

use std::ops::Range;

use wasmparser::{BinaryReader, Data, DataKind, DataSectionReader, ImportSectionReader, MemorySectionReader, TypeRef};

use super::{
    Memory,
    code::Code,
    memory_mark,
    sections::{self, Section},
};

/// A page of WebAssembly's memory.
const PAGE_BYTES: u64 = 64 << 10;
/// A memory with more than this is left as it is.
const MAX_MEMORY_BYTES: u64 = 128 << 20;
/// So many times what is in its segments a memory may be: more would be stored as zeros.
const MAX_SPARSE: u64 = 4;

pub(super) struct Taken {
    /// Of the first page.
    begins: u64,
    memory: Memory,
    /// How many segments the module says that it has, if it says so.
    counted: Option<usize>,
}

impl Taken {
    /// `None`: the module has no memory of its own that it brings, or what it brings depends on something.
    pub(super) fn of(sections: &[Section<'_>]) -> Option<Self> {
        let one = |id| {
            sections.iter().find(|section| section.id == id).map(|section| BinaryReader::new(section.body, section.at))
        };
        let imported = one(sections::IMPORT).map_or(Some(false), imports_memory)?;
        let size_bytes = size_bytes(one(sections::MEMORY)?).filter(|_| !imported)?;
        let data = DataSectionReader::new(one(sections::DATA)?).ok()?;
        let segments: Vec<(u64, Range<usize>)> =
            data.into_iter().map(|segment| place(&segment.ok()?)).collect::<Option<_>>()?;
        let filled = || segments.iter().filter(|(_, bytes)| !bytes.is_empty());
        let end = |(begins, bytes): &(u64, Range<usize>)| begins + bytes.len() as u64;
        // None of them is out of bounds, also of those without bytes.
        let is_inside = segments.iter().all(|segment| end(segment) <= size_bytes);
        let begins = filled().map(|(begins, _)| begins / PAGE_BYTES * PAGE_BYTES).min()?;
        let ends = filled().map(|segment| end(segment).next_multiple_of(PAGE_BYTES)).max()?;
        let brought: u64 = filled().map(|(_, bytes)| bytes.len() as u64).sum();
        let length = ends - begins;
        if !is_inside || length > MAX_MEMORY_BYTES || length / MAX_SPARSE > brought {
            return None;
        }
        let place = |from: u64| usize::try_from(from - begins).ok();
        let placed = filled().map(|(from, bytes)| Some((place(*from)?, bytes.clone()))).collect::<Option<_>>()?;
        let memory = Memory { length: usize::try_from(length).ok()?, segments: placed };
        // Functions may name segments where they are counted, which have no bytes any more when one runs. That many stay,
        // but not exactly, since the number changes with every build.
        let counted = one(sections::DATA_COUNT).map(|_| segments.len().next_power_of_two());
        Some(Self { begins, memory, counted })
    }

    /// The section that counts the segments.
    pub(super) fn count(&self) -> Code {
        let mut written = Vec::new();
        sections::unsigned(&mut written, self.segments());
        written.into()
    }

    /// The section of segments, with marks instead of the memory.
    pub(super) fn marked(&self, number: usize) -> Code {
        let mark = memory_mark(number);
        let mut code = self.count();
        code.written(self.segment(self.memory.length));
        code.written(mark.to_vec());
        code.zeros(self.memory.length - 2 * mark.len());
        code.written(mark.to_vec());
        for _ in 1..self.segments() {
            code.written(self.segment(0));
        }
        code
    }

    pub(super) fn into_memory(self) -> Memory {
        self.memory
    }

    fn segments(&self) -> usize {
        self.counted.unwrap_or(1)
    }

    /// The head of a segment of the first memory, which is placed by a constant.
    fn segment(&self, bytes: usize) -> Vec<u8> {
        let mut written = vec![0, 0x41];
        sections::signed(&mut written, (self.begins as u32).cast_signed());
        written.push(0x0b);
        sections::unsigned(&mut written, bytes);
        written
    }
}

fn imports_memory(section: BinaryReader<'_>) -> Option<bool> {
    let mut imports = ImportSectionReader::new(section).ok()?.into_imports();
    imports.try_fold(false, |found, import| Some(found || matches!(import.ok()?.ty, TypeRef::Memory(_))))
}

/// Of the only memory.
fn size_bytes(section: BinaryReader<'_>) -> Option<u64> {
    let mut memories = MemorySectionReader::new(section).ok()?.into_iter();
    let (memory, None) = (memories.next()?.ok()?, memories.next()) else { return None };
    let plain = !memory.memory64 && !memory.shared && memory.page_size_log2.is_none();
    memory.initial.checked_mul(PAGE_BYTES).filter(|_| plain)
}

/// Where a segment goes that needs nothing for that but a number, and where its bytes are in the component.
fn place(segment: &Data<'_>) -> Option<(u64, Range<usize>)> {
    match &segment.kind {
        DataKind::Active { memory_index: 0, offset_expr } => {
            let bytes = segment.range.end.checked_sub(segment.data.len())?..segment.range.end;
            Some((sections::constant(offset_expr)?.cast_unsigned().into(), bytes))
        }
        _ => None,
    }
}
