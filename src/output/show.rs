use anyhow::bail;
use serde_json::Value;

use super::format::{Output, Whole};
use crate::{
    client::table::{Columns, Table},
    terminal,
};

/// The `-o` flag of every command that shows something.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct OutputArgs {
    /// How to show it: json, yaml, name, wide, jsonpath=TEMPLATE or custom-columns=HEADER:PATH,...
    #[arg(short, long, env = "SAMPAN_OUTPUT", value_name = "FORMAT", help_heading = "Output")]
    output: Option<Output>,
}

/// Something to show.
pub(crate) struct Shown<'a> {
    /// What is said if a format does not fit: "a version".
    pub(crate) what: &'a str,
    /// An object, or a list with `items`.
    pub(crate) whole: &'a Value,
    /// What each is called in commands; `None` where nothing has a name.
    pub(crate) names: Option<Vec<String>>,
}

impl OutputArgs {
    /// What was asked for; without it, what people read.
    pub(crate) fn format(&self) -> Output {
        self.output.clone().unwrap_or(Output::Table(Columns::Narrow))
    }

    /// Shows a list: as a table or whole.
    pub(crate) fn show_list(&self, shown: &Shown<'_>, table: impl FnOnce() -> Table) -> anyhow::Result<()> {
        match self.format() {
            Output::Table(columns) => {
                table().lines(columns).into_iter().for_each(terminal::print_line);
                Ok(())
            }
            Output::Whole(whole) => shown.print(&whole),
        }
    }

    /// Shows what has no columns: as lines or whole.
    pub(crate) fn show_lines(&self, shown: &Shown<'_>, lines: impl FnOnce() -> Vec<String>) -> anyhow::Result<()> {
        self.refuse_wide(shown.what)?;
        match self.format() {
            Output::Table(_) => {
                lines().into_iter().for_each(terminal::print_line);
                Ok(())
            }
            Output::Whole(whole) => shown.print(&whole),
        }
    }

    /// Fails where there is nothing wider to show.
    pub(crate) fn refuse_wide(&self, what: &str) -> anyhow::Result<()> {
        if self.output == Some(Output::Table(Columns::Wide)) {
            bail!("-o wide: {what} has no further columns");
        }
        Ok(())
    }
}

impl Shown<'_> {
    /// Prints it whole, or what is picked out of it.
    pub(crate) fn print(&self, whole: &Whole) -> anyhow::Result<()> {
        if *whole == Whole::Name && self.names.is_none() {
            bail!("-o name: {} has no name", self.what);
        }
        let text = whole.text(self.whole, self.names.as_deref().unwrap_or_default())?;
        if terminal::print_text(text).is_err() {
            std::process::exit(0);
        }
        Ok(())
    }
}
