#![no_main]
//! All bytes are a manifest that can run or are refused.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = registry_client::check_manifest(bytes);
    let _ = registry_client::DockerConfig::parse(bytes);
});
