#![no_main]
//! All bytes are a frame of a session, in each of the four directions, or are refused.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transport::fuzzing::frame(bytes));
