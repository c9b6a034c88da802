//! From an image reference to verified component bytes.
