use std::{collections::BTreeMap, fmt, str::FromStr};

/// The labels of an item, by key.
pub type Labels = BTreeMap<String, String>;

/// How many labels an item may have.
pub const MAX_LABELS: usize = 8;

const MAX_CHARACTERS: usize = 63;

/// One label, written `key=value`. Both sides are 1 to 63 letters, digits, `-`, `_` and `.`, with a letter
/// or a digit at both ends; a key may also contain `/`. These are Kubernetes' rules, nearly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    pub key: String,
    pub value: String,
}

impl Label {
    pub fn new(key: &str, value: &str) -> Result<Self, String> {
        check("key", key, "-_./")?;
        check("value", value, "-_.")?;
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }

    /// Whether an item with these labels has this one.
    pub fn is_in(&self, labels: &Labels) -> bool {
        labels.get(&self.key) == Some(&self.value)
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) => Self::new(key.trim(), value.trim()),
            None => Err(format!("`{text}` is not a label: write key=value, such as for=party")),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

fn check(side: &str, text: &str, marks: &str) -> Result<(), String> {
    let inside = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    let outside = |c: char| c.is_ascii_alphanumeric();
    let fits = (1..=MAX_CHARACTERS).contains(&text.len())
        && text.chars().all(inside)
        && text.starts_with(outside)
        && text.ends_with(outside);
    if fits {
        return Ok(());
    }
    Err(format!(
        "`{text}` is not a label's {side}: it has 1 to {MAX_CHARACTERS} letters, digits or any of {marks}, \
         and begins and ends with a letter or digit"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_back_as_written() {
        for text in ["for=party", "shop.example/aisle=3", "a=b", "Gift=Anna.B"] {
            assert_eq!(text.parse::<Label>().unwrap().to_string(), text);
        }
        assert_eq!(" for = party ".parse::<Label>().unwrap().to_string(), "for=party");
    }

    #[test]
    fn what_is_no_label_is_refused() {
        for text in ["", "party", "=party", "for=", "for=a=b", "fo r=x", "for=<b>", "-a=b", "a=b-", "ü=x", "a=x/y"] {
            assert!(text.parse::<Label>().is_err(), "{text}");
        }
        assert!(Label::new("k", &"v".repeat(64)).is_err());
    }
}
