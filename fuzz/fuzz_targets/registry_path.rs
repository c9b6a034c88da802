#![no_main]
//! Every path names something in the registry, or is refused.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| control_plane::fuzzing::registry_path(bytes));
