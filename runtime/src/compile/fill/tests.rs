use std::io::Read;

use wasmtime::{Engine, Store, component::Component, component::Linker};

use super::*;
use crate::engine::{Code, compiling};

const SCRIPT: usize = 300_000;

/// A component whose memory and variables can be looked at, of which the memory begins with these letters.
fn component(letters: &str, stack: i32, more: &str) -> Vec<u8> {
    component_beside("", letters, stack, more)
}

fn component_beside(beside: &str, letters: &str, stack: i32, more: &str) -> Vec<u8> {
    // Three letters of the text write a byte that is none.
    let bytes = if letters.starts_with('\\') { letters.len() / 3 } else { letters.len() };
    let script = letters.repeat(SCRIPT / bytes);
    let text = format!(
        "(component {beside}
            (core module $m
                (memory 10) {more}
                (global $other (mut i32) (i32.const 12345678))
                (global $stack (mut i32) (i32.const {stack}))
                (func (export \"at\") (param i32) (result i32) (i32.load8_u (local.get 0)))
                (func (export \"stack\") (result i32) (i32.sub (global.get $stack) (global.get $other)))
                (data (i32.const 1000) \"{script}\"))
            (core instance $i (instantiate $m))
            (func (export \"at\") (param \"place\" u32) (result u32) (canon lift (core func $i \"at\")))
            (func (export \"stack\") (result s32) (canon lift (core func $i \"stack\"))))"
    );
    wat::parse_str(text).unwrap()
}

/// What it sees.
fn look(engine: &Engine, artifact: &[u8]) -> (Vec<u8>, i32) {
    #[allow(unsafe_code, reason = "the engine has just made it")]
    // SAFETY: it was compiled here, and filled in by what is tested.
    let component = unsafe { Component::deserialize(engine, artifact) }.unwrap();
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1);
    let instance = Linker::new(engine).instantiate(&mut store, &component).unwrap();
    let at = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "at").unwrap();
    let last = 1000 + u32::try_from(SCRIPT).unwrap() - 1;
    let places = [0, 16, 999, 1000, 1001, 1002, last, last + 1, 10 * 65_536 - 1];
    let seen = places.map(|place| u8::try_from(at.call(&mut store, (place,)).unwrap().0).unwrap());
    let stack = instance.get_typed_func::<(), (i32,)>(&mut store, "stack").unwrap();
    (seen.to_vec(), stack.call(&mut store, ()).unwrap().0)
}

/// The code of a component, for a compiler, and what was taken out of it.
fn divided(whole: &[u8]) -> (Vec<u8>, Divided) {
    let divided = registry_client::divide(whole).unwrap();
    (divided.code.bytes(whole).unwrap(), divided)
}

fn bytes(mut file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn code_that_was_compiled_before_runs_as_the_whole_component_does() {
    for kind in [Code::Unoptimized, Code::Optimized] {
        let engine = compiling(kind).unwrap();
        let (code, first) = divided(&component("ab", 1, ""));
        let artifact = engine.precompile_component(&code).unwrap();
        let (marks, kept) = (Marks::find(&artifact, &first).unwrap(), exchange::memory(&artifact).unwrap());
        for (letters, stack) in [("ab", 1), ("xyz", -1), ("q", i32::MIN), ("é", i32::MAX), ("\\00\\01", 0)] {
            let whole = component(letters, stack, "");
            let (same, taken) = divided(&whole);
            assert_eq!(same, code);
            let filled = bytes(marks.fill(&kept, &whole, &taken).unwrap().unwrap());
            let expected = look(&engine, &engine.precompile_component(&whole).unwrap());
            assert_eq!(look(&engine, &filled), expected, "{letters:?}");
        }
        assert_eq!(bytes(kept), artifact, "what is kept stays as it was");
    }
}

#[test]
fn a_guest_with_a_mark_of_its_own_is_not_filled_in() {
    let engine = compiling(Code::Unoptimized).unwrap();
    let mark: String = memory_mark(0).iter().map(|byte| format!("\\{byte:02x}")).collect();
    let beside = format!("(core module $n (data \"{mark}\")) (core instance (instantiate $n))");
    let more = format!("(global i32 (i32.const {}))", variable_mark(1));
    for whole in [component_beside(&beside, "ab", 1, ""), component("ab", 1, &more)] {
        let (code, taken) = divided(&whole);
        assert_eq!(Marks::find(&engine.precompile_component(&code).unwrap(), &taken), None);
    }
}

#[test]
fn what_is_no_artifact_has_no_places() {
    let (code, taken) = divided(&component("ab", 1, ""));
    for bytes in [&b""[..], b"\x7fELF", &code] {
        assert_eq!(Marks::find(bytes, &taken), None);
    }
}

#[test]
fn nothing_is_filled_in_beyond_its_place_whatever_was_said_of_the_component() {
    let engine = compiling(Code::Unoptimized).unwrap();
    let whole = component("ab", 1, "");
    let (code, taken) = divided(&whole);
    let artifact = engine.precompile_component(&code).unwrap();
    let (marks, kept) = (Marks::find(&artifact, &taken).unwrap(), exchange::memory(&artifact).unwrap());
    let length = taken.memories[0].length;
    let of = |change: fn(&mut Divided, usize)| {
        let mut other = taken.clone();
        change(&mut other, length);
        marks.fill(&kept, &whole, &other).unwrap().is_some()
    };
    assert!(of(|_, _| {}));
    assert!(of(|other, length| other.memories[0].segments.push((length - 1, 5..6))));
    assert!(!of(|other, length| other.memories[0].segments.push((length, 5..6))));
    assert!(!of(|other, _| other.memories[0].segments.push((usize::MAX, 5..6))));
    assert!(!of(|other, _| other.memories[0].segments.push((0, 5..usize::MAX))));
    assert!(!of(|other, _| other.memories[0].length += 1));
    assert!(!of(|other, _| other.memories.push(other.memories[0].clone())));
    assert!(!of(|other, _| other.variables.push(1)));
    // It would be busy for hours.
    assert!(!of(|other, _| other.memories[0].segments = vec![other.memories[0].segments[0].clone(); 1000]));
}
