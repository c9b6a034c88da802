#![no_main]
//! All bytes are YAML and JSON that say something, or are refused; what was read is the same when it is written and read again.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kube_api::fuzzing::yaml(bytes));
