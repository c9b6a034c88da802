use std::fmt;

/// One thing that is wrong with an object, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// From the root of what was checked, as `spec.template.spec.containers[0].image`. Empty: the root itself.
    pub path: String,
    /// Which kind of mistake it is.
    pub cause: Cause,
    /// What is wrong and what to do instead.
    pub message: String,
}

/// The kinds of mistakes, each a `reason` of a Status cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A value that has to be there is not.
    Required,
    /// A value is not what it should be.
    Invalid,
    /// The field is not known.
    Unknown,
    /// Kubernetes knows it, Sampan cannot honour it.
    NotSupported,
    /// A value that has to be unique stands twice.
    Duplicate,
    /// A value that must not change was changed.
    Immutable,
}

impl FieldError {
    /// A mistake of this kind at this path.
    pub fn new(cause: Cause, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), cause, message: message.into() }
    }

    /// A value that has to be there.
    pub fn required(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Cause::Required, path, message)
    }

    /// A value that is not what it should be.
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Cause::Invalid, path, message)
    }

    /// A value that Sampan cannot honour.
    pub fn not_supported(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Cause::NotSupported, path, message)
    }

    /// The same mistake, seen from an object that holds the checked one at `parent`.
    pub fn under(mut self, parent: &str) -> Self {
        self.path = match self.path.as_str() {
            "" => parent.to_owned(),
            path if path.starts_with('[') => format!("{parent}{path}"),
            path => format!("{parent}.{path}"),
        };
        self
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

impl Cause {
    /// As Kubernetes writes it in a Status.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid | Self::Immutable => "FieldValueInvalid",
            Self::Unknown => "FieldManagerUnknownField",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
        }
    }
}

/// The known word that is most like `text`, if one is like it.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.75;
    let lower = text.to_ascii_lowercase();
    let scored = known.into_iter().map(|word| (strsim::jaro_winkler(&lower, &word.to_ascii_lowercase()), word));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_seen_from_outside_has_the_longer_path() {
        let error = FieldError::required("spec.image", "is missing");
        assert_eq!(error.clone().under("a").path, "a.spec.image");
        assert_eq!(FieldError::invalid("[0].x", "").under("list").path, "list[0].x");
        assert_eq!(FieldError::invalid("", "").under("list").path, "list");
        assert_eq!(error.to_string(), "spec.image: is missing");
    }

    #[test]
    fn the_nearest_word_is_suggested_only_if_it_is_like_it() {
        assert_eq!(nearest("replcas", ["replicas", "selector"]), Some("replicas"));
        assert_eq!(nearest("Replica", ["replicas", "selector"]), Some("replicas"));
        assert_eq!(nearest("zzz", ["replicas", "selector"]), None);
    }
}
