//! A new project: what a folder holds with which somebody begins, out of the templates and samples that are in this program.
//!
//! It writes files. It runs no toolchain and asks no network, so it works anywhere and at once.

mod files;
mod name;
mod sample;
mod template;

pub(crate) use files::Files;
pub(crate) use name::check_name;
pub(crate) use sample::Sample;
pub(crate) use template::Template;

/// What a new project begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A greeting in a language.
    Template(Template),
    /// One of our samples, as it is.
    Sample(Sample),
}

impl Beginning {
    /// All files of a project of this name.
    ///
    /// # Errors
    /// Its toolchain cannot have something of this name.
    pub(crate) fn files(self, name: &str) -> anyhow::Result<Files> {
        match self {
            Self::Template(template) => template.files(name),
            Self::Sample(sample) => Ok(sample.files(name)),
        }
    }

    /// One line about what was made.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Template(template) => template.about(),
            Self::Sample(sample) => sample.about(),
        }
    }

    /// What runs its tests.
    pub(crate) fn test_command(self) -> &'static str {
        match self {
            Self::Template(template) => template.test_command(),
            Self::Sample(_) => "cargo test",
        }
    }
}
