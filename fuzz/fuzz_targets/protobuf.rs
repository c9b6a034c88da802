#![no_main]
//! All bytes are an object in Kubernetes' protobuf, or are refused.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kube_api::fuzzing::protobuf(bytes));
