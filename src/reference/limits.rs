use std::fs;

use clap::Command;

use super::{GENERATED, constants, keep, root};

/// The page with its values left out: `{{FILE NAME}}` is a constant there or a field of defaults there, `{{FILE NAME bytes}}`
/// the same in Ki, Mi or Gi, and `{{--option}}` the default that the help of an option says.
const TEMPLATE: &str = include_str!("limits.md");

/// What stands in the place of a placeholder. Errors in words.
fn value(placeholder: &str, commands: &Command) -> Result<String, String> {
    if let Some(option) = placeholder.strip_prefix("--") {
        return default_of(option, commands)
            .ok_or_else(|| "no option of `up`, `server`, `worker` or `token create` says its default".to_owned());
    }
    let mut words = placeholder.split(' ');
    let (file, name) = words.next().zip(words.next()).ok_or("a file and a name are meant")?;
    let source = fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
    let value = constants::value(&source, name)?;
    Ok(if words.next() == Some("bytes") { value.bytes() } else { value.to_string() })
}

/// The default of an option, of the first command that has one: what is set for clap, else what its help says.
fn default_of(option: &str, commands: &Command) -> Option<String> {
    let paths: [&[&str]; 4] = [&["up"], &["server"], &["worker"], &["token", "create"]];
    paths.iter().find_map(|path| {
        let command = path.iter().try_fold(commands, |command, name| command.find_subcommand(name))?;
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(option))?;
        if let [default, ..] = arg.get_default_values() {
            return Some(default.to_string_lossy().into_owned());
        }
        let help = arg.get_help()?.to_string();
        let (_, said) = help.split_once("[default: ")?;
        Some(said.split_once(']')?.0.split_whitespace().collect::<Vec<_>>().join(" "))
    })
}

fn page() -> String {
    let commands = crate::cli::command();
    let mut page = String::new();
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (placeholder, after) = after.split_once("}}").expect("a placeholder ends");
        let value = value(placeholder, &commands);
        page += before;
        page += &value.unwrap_or_else(|why| panic!("src/reference/limits.md: {{{{{placeholder}}}}}: {why}"));
        rest = after;
    }
    page += rest;
    page.replacen("\n\n", &format!("\n\n{GENERATED}\n\n"), 1)
}

#[test]
fn the_page_of_limits_is_what_the_code_says() {
    keep("limits.md", &page());
}
