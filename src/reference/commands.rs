use clap::Command;

use super::{GENERATED, keep};

/// Columns of the help.
const WIDTH: usize = 100;

/// A command with the same help wherever the page is made.
fn plain(command: Command) -> Command {
    command.term_width(WIDTH).mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(plain)
}

/// Adds a command and those below it: `words` is what is typed for it, `all` the whole command line.
fn add(text: &mut String, all: &Command, command: &Command, words: &[&str]) {
    let help = all.clone().try_get_matches_from(words.iter().chain(&["--help"])).expect_err("help ends the program");
    let help = help.to_string();
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    *text += &format!("\n## {}\n\n```text\n{}\n```\n", words.join(" "), lines.join("\n").trim_end());
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        add(text, all, below, &[words, &[below.get_name()]].concat());
    }
}

fn page() -> String {
    let all = plain(crate::cli::command());
    let mut text = format!(
        "# Commands\n\n{GENERATED}\n\nWhat `sampan COMMAND --help` prints. Every option can also be set in the environment, by \
         the variable that its\ndescription names.\n"
    );
    add(&mut text, &all, &all, &["sampan"]);
    text
}

#[test]
fn the_page_of_commands_is_what_the_code_says() {
    keep("commands.md", &page());
}
