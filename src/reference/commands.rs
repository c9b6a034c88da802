use std::fs;

use clap::Command;

use super::{GENERATED, cell, is_writing, keep, keep_at, root};

/// Columns of the help.
const WIDTH: usize = 100;
/// The page that the pages of the commands stand below in the book's summary.
const ABOVE: &str = "- [Commands](reference/commands.md)\n";

/// A command with the same help wherever the page is made.
fn plain(command: Command) -> Command {
    command.term_width(WIDTH).mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(plain)
}

/// The commands below another that users see, in the order of its help.
fn below(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
}

/// Adds a command and those below it: `words` is what is typed for it, `all` the whole command line, `level` that of the
/// heading.
fn add(text: &mut String, all: &Command, command: &Command, words: &[&str], level: &str) {
    let help = all.clone().try_get_matches_from(words.iter().chain(&["--help"])).expect_err("help ends the program");
    let help = help.to_string();
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    let after_title = if level == "#" { format!("{GENERATED}\n\n") } else { String::new() };
    *text += &format!("{level} {}\n\n{after_title}```text\n{}\n```\n", words.join(" "), lines.join("\n").trim_end());
    for below in below(command) {
        *text += "\n";
        add(text, all, below, &[words, &[below.get_name()]].concat(), "##");
    }
}

/// The page that lists the commands.
fn list(all: &Command) -> String {
    let mut text = format!(
        "# Commands\n\n{GENERATED}\n\nEach page has what `sampan COMMAND --help` prints. Every option can also be set in the \
         environment, by the variable\nthat its description names.\n\n| command | |\n| --- | --- |\n"
    );
    for command in below(all) {
        let (name, about) = (command.get_name(), command.get_about().map(ToString::to_string).unwrap_or_default());
        text += &format!("| [`sampan {name}`](commands/{name}.md) | {} |\n", cell(&about));
    }
    text
}

/// The summary of the book with these commands below the page that lists them.
fn summary(old: &str, all: &Command) -> String {
    let (before, after) = old.split_once(ABOVE).expect("the summary names the page of commands");
    let mut text = format!("{before}{ABOVE}");
    for command in below(all) {
        let name = command.get_name();
        text += &format!("  - [`sampan {name}`](reference/commands/{name}.md)\n");
    }
    let is_ours = |line: &&str| line.starts_with("  - ");
    text + &after.split_inclusive('\n').skip_while(is_ours).collect::<String>()
}

#[test]
fn the_pages_of_commands_are_what_the_code_says() {
    let all = plain(crate::cli::command());
    keep("commands.md", &list(&all));
    for command in below(&all) {
        let mut text = String::new();
        add(&mut text, &all, command, &["sampan", command.get_name()], "#");
        keep(&format!("commands/{}.md", command.get_name()), &text);
    }
    let path = "docs/src/SUMMARY.md";
    let old = fs::read_to_string(root().join(path)).expect("the summary");
    keep_at(path, &summary(&old, &all));
    for entry in fs::read_dir(root().join("docs/src/reference/commands")).expect("the folder") {
        let page = entry.expect("an entry").path();
        let name = page.file_stem().expect("a page").to_string_lossy().into_owned();
        if below(&all).all(|command| command.get_name() != name) {
            assert!(is_writing(), "{} is of a command that is gone: run `make reference`", page.display());
            fs::remove_file(page).expect("the page can be removed");
        }
    }
}
