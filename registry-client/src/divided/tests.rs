use wasmparser::Validator;

use super::*;

/// Bytes of a string in WebAssembly's text format.
const SCRIPT: usize = 200_000;

/// A module with memory of ten pages, in a component.
fn component(module: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module (memory 10) {module}))")).unwrap()
}

/// A segment with a script.
fn script(at: usize, letter: &str) -> String {
    format!("(data (i32.const {at}) \"{}\")", letter.repeat(SCRIPT))
}

/// The parts of a component as bytes.
struct Parts {
    code: Vec<u8>,
    memories: Vec<Vec<u8>>,
    variables: Vec<i32>,
}

impl Parts {
    fn of(whole: &[u8]) -> Self {
        let Divided { code, memories, variables } = divide(whole).unwrap();
        let bytes = code.bytes(whole).unwrap();
        assert_eq!(code.digest(whole), Some(crate::digest_of(&bytes)));
        let memory = |memory: &Memory| {
            let mut bytes = vec![0; memory.length];
            for (place, segment) in &memory.segments {
                bytes[*place..place + segment.len()].copy_from_slice(&whole[segment.clone()]);
            }
            bytes
        };
        Self { code: bytes, memories: memories.iter().map(memory).collect(), variables }
    }
}

fn divided(module: &str) -> Parts {
    Parts::of(&component(module))
}

#[test]
fn builds_that_begin_with_other_memory_and_variables_have_the_same_code() {
    let build = |at, letter, stack: i32| {
        let text = "(func (export \"f\") (result i32) i32.const 7)";
        divided(&format!(
            "(global (mut i32) (i32.const {stack})) {text} {} {}",
            script(at, letter),
            script(300_000, "z")
        ))
    };
    let (one, other) = (build(70_000, "a", 5), build(90_123, "b", -1));
    assert_eq!(one.code, other.code);
    assert_eq!((&*one.variables, &*other.variables), (&[5][..], &[-1][..]));
    assert_eq!(one.memories[0].len(), other.memories[0].len());
    // From the first page with bytes on.
    let at = |address: usize| other.memories[0][address - 65_536];
    assert_eq!((at(90_122), at(90_123), at(290_122), at(290_123), at(300_000)), (0, b'b', b'b', 0, b'z'));
    Validator::new().validate_all(&one.code).unwrap();
}

#[test]
fn what_decides_about_the_code_stays_in_it() {
    let build = |more: &str| divided(&format!("{more} {}", script(0, "a"))).code;
    let plain = build("(global i32 (i32.const 1))");
    assert_eq!(plain, build("(global i32 (i32.const 1))"));
    for other in [
        "(global i32 (i32.const 2))",
        "(global (mut i64) (i64.const 1))",
        "(global (mut i32) (i32.const 1))",
        "(global i32 (i32.const 1)) (func)",
    ] {
        assert_ne!(plain, build(other), "{other}");
    }
}

#[test]
fn where_segments_overlap_the_later_one_counts() {
    let divided = divided(&format!("{} (data (i32.const 10) \"xyz\") (data (i32.const 11) \"Y\")", script(0, "a")));
    assert_eq!(&divided.memories[0][9..14], b"axYza");
}

#[test]
fn segments_that_functions_name_are_still_there() {
    let drops = "(func (data.drop 2))";
    let build = |segments: usize| {
        let more: String = (0..segments).map(|n| format!("(data (i32.const {n}) \"x\")")).collect();
        divided(&format!("{drops} {} {more}", script(0, "a"))).code
    };
    Validator::new().validate_all(&build(3)).unwrap();
    // The number of them changes with each build.
    assert_eq!(build(5), build(6));
}

#[test]
fn a_component_in_a_component_is_divided_too() {
    let module = |letter: &str| format!("(component (core module (memory 10) {}))", script(0, letter));
    let build = |first: &str, second: &str| {
        Parts::of(&wat::parse_str(format!("(component {} {})", module(first), module(second))).unwrap())
    };
    let (one, other) = (build("a", "b"), build("c", "d"));
    assert_eq!(one.code, other.code);
    assert_eq!(other.memories.iter().map(|memory| memory[0]).collect::<Vec<_>>(), *b"cd");
    Validator::new().validate_all(&one.code).unwrap();
}

#[test]
fn what_brings_no_memory_or_one_that_depends_on_something_is_left_whole() {
    let whole = script(0, "a");
    for module in [
        "",
        "(data (i32.const 0) \"little\")",
        // With all the room between them it would be zeros for the most part.
        "(data (i32.const 0) \"little\") (data (i32.const 600000) \"more\")",
        &format!("{whole} (data \"passive\")"),
        &format!("{whole} (data (i32.const 655359) \"xx\")"),
    ] {
        assert_eq!(divide(&component(module)), None, "{}", &module[..module.len().min(80)]);
    }
    for of_another in [
        format!("(import \"a\" \"b\" (memory 10)) {whole}"),
        format!("(import \"a\" \"b\" (global $g i32)) (memory 10) {whole} (data (global.get $g) \"x\")"),
    ] {
        assert_eq!(divide(&wat::parse_str(format!("(component (core module {of_another}))")).unwrap()), None);
    }
    assert_eq!(divide(&wat::parse_str(format!("(module (memory 10) {whole})")).unwrap()), None);
}

#[test]
fn what_is_handed_over_is_read_as_it_was() {
    let divided = divide(&component(&format!("(global (mut i32) (i32.const -5)) {}", script(0, "a")))).unwrap();
    let written = divided.write();
    assert!(written.len() < 2000, "what they tell of is in the component: {}", written.len());
    assert_eq!(Divided::read(&written), Some(divided));
    for length in (0..100).chain([written.len() - 1]) {
        assert_eq!(Divided::read(&written[..length]), None, "{length}");
    }
    assert_eq!(Divided::read(&[written, vec![0]].concat()), None);
    assert_eq!(Divided::read(&[0xff; 64]), None);
}

#[test]
fn code_of_more_than_the_whole_has_or_may_have_is_none() {
    let whole = component(&script(0, "a"));
    let of = |piece| Code { pieces: vec![code::Piece::Written(b"a".to_vec()), piece] };
    let length = whole.len();
    for piece in [
        code::Piece::Part(1..length + 1),
        code::Piece::Part(Range { start: 2, end: 1 }),
        code::Piece::Zeros(usize::MAX),
    ] {
        let code = of(piece);
        assert_eq!((code.bytes(&whole), code.digest(&whole)), (None, None), "{code:?}");
    }
    assert_eq!(of(code::Piece::Part(length - 1..length)).bytes(&whole), Some(vec![b'a', whole[length - 1]]));
}

#[test]
fn bytes_of_strangers_are_left_whole_and_nothing_worse() {
    let mut bytes = component(&format!("(global (mut i32) (i32.const 5)) {}", script(0, "a")));
    for length in (0..300).chain([bytes.len() - 1]) {
        assert_eq!(divide(&bytes[..length]), None, "{length}");
    }
    for place in 0..200 {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let was = std::mem::replace(&mut bytes[place], byte);
            // Whatever it makes of it, the compiler sees it as it sees everything.
            divide(&bytes);
            bytes[place] = was;
        }
    }
}
