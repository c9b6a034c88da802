//! How a failure is told: one line, its causes, and the way out.

use std::{error::Error, fmt};

/// A failure with a hint at the way out, which [`report`] prints apart from it.
#[derive(Debug)]
struct Hinted {
    source: anyhow::Error,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}

impl Error for Hinted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

/// Adds a hint at the way out to a failure.
pub(crate) trait HintExt {
    /// What the failure becomes.
    type Output;

    /// The same failure; `hint` says what the user can do.
    fn hint(self, hint: impl Into<String>) -> Self::Output;
}

impl HintExt for anyhow::Error {
    type Output = Self;

    fn hint(self, hint: impl Into<String>) -> Self {
        Hinted { source: self, hint: hint.into() }.into()
    }
}

impl<T, E: Into<anyhow::Error>> HintExt for Result<T, E> {
    type Output = anyhow::Result<T>;

    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| error.into().hint(hint))
    }
}

/// The whole failure as text: `error: …`, a line for each cause that the lines above do not quote, and the hint.
pub(crate) fn report(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
    }
    if let Some(hinted) = error.chain().find_map(|cause| cause.downcast_ref::<Hinted>()) {
        text.push_str("\n  hint: ");
        text.push_str(&hinted.hint);
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_report_has_the_failure_its_causes_and_the_hint() {
        let error = anyhow!("permission denied").hint("choose another directory").context("cannot write `x`");
        assert_eq!(
            report(&error),
            "error: cannot write `x`\n  because: permission denied\n  hint: choose another directory"
        );
    }

    #[test]
    fn a_cause_that_is_quoted_already_is_not_repeated() {
        let error: anyhow::Error =
            Err::<(), _>(anyhow!("no such file")).context("cannot read: no such file").unwrap_err();
        assert_eq!(report(&error), "error: cannot read: no such file");
    }
}
