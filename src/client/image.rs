//! Images as tables show them.

/// Digits of a digest that tell images of one installation apart.
const DIGITS: usize = 12;

/// `hello:dev@3ddc28726500`: with so much of the digest as a line of a terminal has room for.
pub(crate) fn short_image(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((name, digits)) => format!("{name}@{}", digits.chars().take(DIGITS).collect::<String>()),
        None => image.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_cut_and_a_tag_is_not() {
        assert_eq!(short_image(&format!("a/b:dev@sha256:{}", "0a".repeat(32))), "a/b:dev@0a0a0a0a0a0a");
        assert_eq!(short_image("a/b:dev"), "a/b:dev");
    }
}
