#![no_main]
//! Every text is an image reference or is refused; what is one names the same image when it is read again.

use libfuzzer_sys::fuzz_target;
use registry_client::ImageReference;

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<ImageReference>() {
        let again: ImageReference = reference.as_written().parse().expect("it was read before");
        assert_eq!((again.name(), again.digest()), (reference.name(), reference.digest()));
        let named: ImageReference = reference.name().parse().expect("a normal name is a reference");
        assert_eq!(named.name(), reference.name());
    }
});
