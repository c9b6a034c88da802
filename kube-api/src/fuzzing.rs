//! What parses strangers' bytes, as the fuzzer calls it (`make fuzz`). Each function takes any bytes, and panics where they
//! are read wrongly. The tests feed it the seeds in `fuzz/seeds`.

pub use crate::api_server::fuzzing::{patch, protobuf, selector};

use crate::notation;

/// YAML and JSON: what was read says the same when it is written as JSON and read again, by either parser.
pub fn yaml(bytes: &[u8]) {
    let _ = notation::read_json(bytes);
    if let Ok(text) = notation::decoded(bytes) {
        for document in notation::documents(&text) {
            let _ = notation::read_document(document.text);
        }
    }
    if let Ok(read) = notation::read_yaml(bytes) {
        let written = serde_json::to_vec(&read.value).expect("what was read can be written");
        let again = notation::read_json(&written).expect("JSON");
        assert_eq!(again.value, read.value);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    type Target = fn(&[u8]);

    #[test]
    fn seeds_of_the_fuzzer_are_read_or_refused() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
        let targets: [(&str, Target); 4] = [
            ("protobuf", super::protobuf),
            ("patch", super::patch),
            ("selector", super::selector),
            ("yaml", super::yaml),
        ];
        for (name, target) in targets {
            let files: Vec<_> = fs::read_dir(seeds.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(!files.is_empty(), "{name} has no seeds");
            for file in files {
                target(&fs::read(file).unwrap());
            }
        }
    }
}
