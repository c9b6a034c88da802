#![no_main]
//! Every text is a selector of labels and of fields, or is refused.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kube_api::fuzzing::selector(bytes));
