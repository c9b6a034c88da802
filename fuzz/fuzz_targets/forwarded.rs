#![no_main]
//! Whatever clients and proxies say of whom they ask for, guests are told the peer that asked.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gateway::fuzzing::forwarded_fields(bytes));
