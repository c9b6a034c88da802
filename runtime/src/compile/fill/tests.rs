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

#[test]
fn code_that_was_compiled_before_runs_as_the_whole_component_does() {
    for code in [Code::Unoptimized, Code::Optimized] {
        let engine = compiling(code).unwrap();
        let first = registry_client::divide(&component("ab", 1, "")).unwrap();
        let kept = engine.precompile_component(&first.code).unwrap();
        for (letters, stack) in [("ab", 1), ("xyz", -1), ("q", i32::MIN), ("é", i32::MAX), ("\\00\\01", 0)] {
            let whole = component(letters, stack, "");
            let divided = registry_client::divide(&whole).unwrap();
            assert_eq!(divided.code, first.code);
            let mut filled = kept.clone();
            fill(&mut filled, &divided).unwrap();
            let expected = look(&engine, &engine.precompile_component(&whole).unwrap());
            assert_eq!(look(&engine, &filled), expected, "{letters:?}");
        }
    }
}

#[test]
fn a_guest_with_a_mark_of_its_own_is_not_filled_in() {
    let engine = compiling(Code::Unoptimized).unwrap();
    let mark: String = memory_mark(0).iter().map(|byte| format!("\\{byte:02x}")).collect();
    let beside = format!("(core module $n (data \"{mark}\")) (core instance (instantiate $n))");
    let more = format!("(global i32 (i32.const {}))", variable_mark(1));
    for whole in [component_beside(&beside, "ab", 1, ""), component("ab", 1, &more)] {
        let divided = registry_client::divide(&whole).unwrap();
        let artifact = engine.precompile_component(&divided.code).unwrap();
        let mut filled = artifact.clone();
        assert_eq!(fill(&mut filled, &divided), None);
        assert!(filled == artifact, "nothing was written");
    }
}

#[test]
fn what_is_no_artifact_is_not_filled_in() {
    let divided = registry_client::divide(&component("ab", 1, "")).unwrap();
    for bytes in [&b""[..], b"\x7fELF", &divided.code] {
        assert_eq!(fill(&mut bytes.to_vec(), &divided), None);
    }
}
