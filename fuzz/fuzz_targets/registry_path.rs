#![no_main]
//! Every path names something in the registry, or is refused.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| registry_server::fuzzing::registry_path(bytes));
