use proptest::prelude::*;
use registry_client::{NotAComponent, inspect};

use crate::{component, store};

fn refused(bytes: &[u8]) -> String {
    inspect(bytes).unwrap_err().to_string()
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn a_component_says_what_it_imports_and_exports() {
    let bytes = wat(r#"(component
            (import "wasi:keyvalue/store@0.2.0-draft2" (instance))
            (component (import "inner" (func)))
            (instance $handler)
            (export "wasi:http/incoming-handler@0.2.3" (instance $handler)))"#);
    let info = inspect(&bytes).unwrap();
    assert_eq!(info.imports, ["wasi:keyvalue/store@0.2.0-draft2"]);
    assert_eq!(info.exports, ["wasi:http/incoming-handler@0.2.3"]);
}

#[test]
fn each_kind_of_other_bytes_is_named_with_what_to_do() {
    let elf = |os: u8| [&[0x7f, b'E', b'L', b'F', 2, 1, 1, os][..], &[0; 56]].concat();
    let wasip1 = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)))"#;
    for (bytes, says) in [
        (Vec::new(), "empty"),
        (elf(0), "native ELF binary"),
        (elf(200), "wasmtime compiled ahead of time"),
        (wat("(module)"), "core WebAssembly module"),
        (
            wat(r#"(component (type $t (component)) (export "shop:cart/items@1.0.0" (type $t)))"#),
            "WIT package, which describes `shop:cart/items@1.0.0`",
        ),
        (wat(wasip1), "WASI 0.1"),
        (b"(module)".to_vec(), "wasm-tools parse"),
        (b";; guest\n\n  (component $x)".to_vec(), "wasm-tools parse"),
        (b"<!DOCTYPE html>\n<html>".to_vec(), "`<!DOCTYPE html> <html>`"),
        (b"\x1f\x8b\x08\x00garbage".to_vec(), "1f 8b 08 00"),
        (b"\0as".to_vec(), "cut off after 3 bytes"),
        (b"\0asm\x63\0\x01\0".to_vec(), "malformed"),
    ] {
        let message = refused(&bytes);
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn a_component_that_answers_no_requests_is_told_what_it_exports_instead() {
    let exporting = |name: &str| wat(&format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#));
    let message = refused(&exporting("wasi:cli/run@0.2.0"));
    assert!(message.contains("`wasi:cli/run@0.2.0`") && message.contains("command"), "{message}");
    let message = refused(&exporting("wasi:http/handler@0.3.0"));
    assert!(message.contains("another version of wasi:http"), "{message}");
    let made_by = |tool: &str| {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let field = [&[1][..], &text("processed-by"), &[1], &text(tool), &text("1.0")].concat();
        let section = [text("producers"), field].concat();
        refused(&[exporting("acme:a/b@1.0.0"), [&[0, section.len() as u8][..], &section].concat()].concat())
    };
    for (tool, way_out) in [
        ("ComponentizeJS", "jco componentize"),
        ("componentize-py", "componentize-py -d WIT"),
        ("TinyGo", "wasm-tools component embed"),
        ("rustc", "#[wstd::http_server]"),
        ("clang", "in Rust"),
    ] {
        assert!(made_by(tool).contains(way_out), "{tool}: {}", made_by(tool));
    }
    assert!(refused(&wat("(component)")).contains("but nothing"), "{}", refused(&wat("(component)")));
}

#[test]
fn a_component_that_is_cut_is_refused_unless_only_names_for_debugging_are_missing() {
    let bytes = component("some mark to make it longer");
    let whole = inspect(&bytes).unwrap();
    for end in 0..bytes.len() {
        match inspect(&bytes[..end]) {
            Ok(info) => assert_eq!(info, whole, "cut at {end}"),
            Err(NotAComponent::Empty | NotAComponent::Truncated { .. }) => {}
            // A cut between two sections leaves a sound component without its last ones.
            Err(NotAComponent::NoHandler { exports, .. }) => assert!(exports.is_empty(), "cut at {end}"),
            Err(error) => panic!("cut at {end}: {error}"),
        }
    }
}

#[test]
fn other_bytes_are_not_put_into_the_store() {
    let (_dir, store) = store();
    let message = store.put_component("hello", wat("(module)").into()).unwrap_err().to_string();
    assert!(message.contains("image `hello`") && message.contains("core WebAssembly module"), "{message}");
    assert!(store.list().unwrap().is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_the_inspection_panic(head in prop::sample::select(vec![&b""[..], b"\0asm\x0d\0\x01\0", b"\x7fELF", b"(mod"]), tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = inspect(&[head, &tail].concat());
    }

    #[test]
    fn no_changed_byte_makes_the_inspection_panic(at in 0usize..80, to in any::<u8>()) {
        let mut bytes = component("mark").to_vec();
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = inspect(&bytes);
    }
}
