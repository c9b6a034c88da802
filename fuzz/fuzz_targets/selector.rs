#![no_main]
//! Every text is a selector of labels and of fields, or is refused.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| control_plane::fuzzing::selector(bytes));
