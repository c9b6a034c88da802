#![no_main]
//! Every patch is applied to every object, or is refused.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kube_api::fuzzing::patch(bytes));
