use clap::Command;

use super::constants;

/// What stands in the place of a placeholder. Errors in words.
fn value(placeholder: &str, commands: &Command) -> Result<String, String> {
    if let Some(option) = placeholder.strip_prefix("--") {
        return default_of(option, commands)
            .ok_or_else(|| "no option of `up`, `server`, `worker` or `token create` says its default".to_owned());
    }
    let mut words = placeholder.split(' ');
    let (file, name) = words.next().zip(words.next()).ok_or("a file and a name are meant")?;
    let value = constants::value(file, name)?;
    match words.next() {
        None => Ok(value.to_string()),
        Some("bytes") => Ok(value.bytes()),
        Some("rate") => Ok(value.rate()),
        Some(unit) => value.of(unit).ok_or_else(|| format!("`{unit}` is no unit of it")),
    }
}

/// The default of an option, of the first command that has one: what is set for clap, else what its help says.
pub(super) fn default_of(option: &str, commands: &Command) -> Option<String> {
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

/// A text with its placeholders filled in: `{{FILE NAME}}` is a constant there or a field of defaults there, `{{--option}}` the
/// default that the help of an option says. `{{FILE NAME bytes}}` says it in Ki, Mi or Gi, `rate` how often it comes in a
/// second, and `ms`, `s`, `m`, `h`, `d`, `KiB` and `MiB` how many of these it is.
/// Errors in words.
pub(super) fn fill(template: &str, commands: &Command) -> Result<String, String> {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        let (placeholder, after) = after.split_once("}}").ok_or("a placeholder does not end")?;
        text += before;
        text += &value(placeholder, commands).map_err(|why| format!("{{{{{placeholder}}}}}: {why}"))?;
        rest = after;
    }
    Ok(text + rest)
}
