use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::CommandFactory;

use super::{Cli, print_line};

/// Write man pages: one for the program, and one for each of its commands
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan man --out ./man          Then: man ./man/sampan-dev.1
  sampan man --out ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Folder for them; it is made if it is missing, and pages that are there are replaced
    #[arg(short, long, env = "SAMPAN_MAN_OUT", value_name = "DIR")]
    out: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.out).with_context(|| format!("--out: {} cannot be made", self.out.display()))?;
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let pages = pages(&command)?;
        for (name, page) in &pages {
            let path = self.out.join(name);
            fs::write(&path, page).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        print_line(format_args!("{} pages in {}", pages.len(), self.out.display()));
        Ok(())
    }
}

/// File names and pages of a command and of those below it that are shown.
fn pages(command: &clap::Command) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut all = vec![page(command)?];
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        all.extend(pages(below)?);
    }
    Ok(all)
}

fn page(command: &clap::Command) -> anyhow::Result<(String, Vec<u8>)> {
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let manual = "Sampan manual";
    let man = clap_mangen::Man::new(command.clone()).manual(manual);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    page.extend(as_sections(&examples).into_bytes());
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    Ok((man.get_filename(), page))
}

/// `EXAMPLES:` and what else ends a command's help, each as a section whose lines stay as they are.
fn as_sections(help: &str) -> String {
    let mut page = String::new();
    let mut kept = false;
    for line in help.lines() {
        let heading = line.strip_suffix(':').filter(|heading| heading.chars().all(|c| c.is_uppercase() || c == ' '));
        if let Some(heading) = heading {
            page.push_str(if kept { ".fi\n" } else { "" });
            page.push_str(&format!(".SH \"{heading}\"\n.nf\n"));
            kept = true;
            continue;
        }
        let line = line.strip_prefix("  ").unwrap_or(line).replace('\\', "\\e").replace('-', "\\-");
        // A dot or a quote at the beginning would be an instruction.
        page.push_str(if line.starts_with(['.', '\'']) { "\\&" } else { "" });
        page.push_str(&line);
        page.push('\n');
    }
    if kept { page + ".fi\n" } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<(String, String)> {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let pages = pages(&command).expect("pages").into_iter();
        pages.map(|(name, page)| (name, String::from_utf8(page).expect("text"))).collect()
    }

    #[test]
    fn each_command_has_a_page_with_its_examples_and_what_nobody_types_has_none() {
        let pages = all();
        let page = |name: &str| &pages.iter().find(|(page, _)| page == name).unwrap_or_else(|| panic!("{name}")).1;
        assert!(page("sampan.1").contains("sampan\\-rollout(1)"), "{}", page("sampan.1"));
        assert!(
            page("sampan-rollout-undo.1").contains(".SH EXAMPLES\n.nf\nsampan rollout undo")
                || page("sampan-rollout-undo.1").contains(".SH \"EXAMPLES\"\n.nf\nsampan rollout undo")
        );
        assert!(pages.iter().all(|(name, page)| !name.contains("compile") && !page.contains("compile\\-server")));
    }

    #[test]
    fn what_roff_would_take_for_instructions_stays_text() {
        let page = as_sections("EXAMPLES:\n  .hidden -x\n  a\\nb");
        assert_eq!(page, ".SH \"EXAMPLES\"\n.nf\n\\&.hidden \\-x\na\\enb\n.fi\n");
    }
}
