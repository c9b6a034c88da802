#![no_main]
//! Every text is an image reference or is refused; what is one names the same image when it is read again.

use libfuzzer_sys::fuzz_target;
use registry_client::ImageReference;

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<ImageReference>() {
        let again: ImageReference = reference.as_written().parse().expect("it was read before");
        assert_eq!((again.name(), again.digest()), (reference.name(), reference.digest()));
        // Pinned by a digest, it needs no tag; without, a name that has none gets one.
        let full = match reference.digest() {
            Some(digest) => format!("{}@{digest}", reference.name()),
            None => reference.name().to_owned(),
        };
        let named: ImageReference = full.parse().expect("a normal name is a reference");
        assert_eq!((named.name(), named.digest()), (reference.name(), reference.digest()));
    }
});
