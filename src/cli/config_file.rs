//! The configuration file: each flag of the commands that run as services, under its own name, in a table for each command.
//!
//! What it sets is put before the command line's own flags, so that one reader checks both. Nothing is listed here: the
//! flags are those that clap knows of the command.

use std::{
    ffi::OsString,
    fs,
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{client::kinds::closest, errors::HintExt};

/// The commands with a table in the file.
const COMMANDS: [&str; 3] = ["server", "worker", "gateway"];
/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The flag that names the file, which it cannot set itself.
const FLAG: &str = "config";

/// The `--config` flag of a command that has a table in the file.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConfigFileArgs {
    /// File with further flags, in TOML: `http = "0.0.0.0:80"` under `[server]`, `[worker]` or `[gateway]`. Flags and
    /// environment variables go before it
    #[arg(long = FLAG, env = "SAMPAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The command line with what the file adds that it names, if it is one of a command that has such a file.
///
/// # Errors
/// The file cannot be read, or holds what is no flag of the command, or no value of it: with the file and the line.
pub(super) fn merged(cli: &Command, line: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    let Some(name) = COMMANDS.into_iter().find(|name| line.get(1).is_some_and(|word| word == name)) else {
        return Ok(line);
    };
    // What is wrong with the line is said when all of it is read.
    let Ok(given) = cli.clone().ignore_errors(true).try_get_matches_from(&line) else { return Ok(line) };
    let Some(given) = given.subcommand_matches(name) else { return Ok(line) };
    let Ok(Some(file)) = given.try_get_one::<PathBuf>(FLAG) else { return Ok(line) };
    let added = added(cli, name, given, file)?;
    let (command, flags) = line.split_at(2);
    Ok([command, &added, flags].concat())
}

/// The flags that a file adds to a command that was given others.
fn added(cli: &Command, command: &str, given: &ArgMatches, file: &Path) -> anyhow::Result<Vec<OsString>> {
    let unreadable = || format!("the configuration {} cannot be read", file.display());
    let mut text = String::new();
    // What it says of its size is not asked: a device or a pipe says none.
    let opened = fs::File::open(file).with_context(unreadable)?;
    opened.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).with_context(unreadable)?;
    anyhow::ensure!(
        text.len() as u64 <= MAX_FILE_BYTES,
        "{} is larger than the limit of {MAX_FILE_BYTES} bytes",
        file.display()
    );
    let source = Source { file, text: &text };
    let table = DeTable::parse(&text)
        .map_err(|error| source.error(error.span().unwrap_or_default(), error.message().replace('\n', " ")))?;
    // Tables of other commands are checked too: one that is read by another service must not fail there alone.
    let mut added = Vec::new();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().as_ref();
        let Some(known) = COMMANDS.into_iter().find(|known| *known == name) else {
            let tables = COMMANDS.map(|known| format!("[{known}]")).join(", ");
            return Err(
                source.error(key.span(), format!("unknown key `{name}`: what is set stands in one of {tables}"))
            );
        };
        let DeValue::Table(flags) = value.get_ref() else {
            return Err(source.error(value.span(), format!("`{name}` is a table: write [{name}] above its flags")));
        };
        let known_flags = cli.find_subcommand(known).context("a command is missing")?;
        for (key, value) in flags {
            let arg = source.arg(known_flags, key)?;
            let words = source.words(arg, key, value)?;
            let is_given = || {
                let source = given.value_source(arg.get_id().as_str());
                matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
            };
            if known == command && !is_given() {
                added.extend(words);
            }
        }
    }
    Ok(added)
}

/// A file, to say where in it something is wrong.
struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, span: Range<usize>, what: impl std::fmt::Display) -> anyhow::Error {
        let line = self.text[..span.start.min(self.text.len())].matches('\n').count() + 1;
        anyhow!("{}:{line}: {what}", self.file.display())
    }

    /// The flag that a key is the long name of.
    fn arg<'c>(&self, command: &'c Command, key: &Spanned<std::borrow::Cow<'_, str>>) -> anyhow::Result<&'c Arg> {
        let name = key.get_ref().as_ref();
        let settable = || command.get_arguments().filter(|arg| !["help", FLAG].contains(&arg.get_id().as_str()));
        if let Some(arg) = settable().find(|arg| arg.get_long() == Some(name)) {
            return Ok(arg);
        }
        let near = closest(name, settable().filter_map(Arg::get_long)).map(|near| format!(": did you mean `{near}`?"));
        let of = command.get_name();
        Err(self
            .error(key.span(), format!("unknown key `{name}`{}", near.unwrap_or_default()))
            .hint(format!("the keys of [{of}] are the flags of `sampan {of} --help`")))
    }

    /// A value as words of a command line. It is checked by itself, so that an error has its line.
    fn words(
        &self,
        arg: &Arg,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> anyhow::Result<Vec<OsString>> {
        let name = key.get_ref().as_ref();
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        let wrong = |is: &str| self.error(value.span(), format!("`{name}` is {is}"));
        if !arg.get_action().takes_values() {
            return match value.get_ref() {
                DeValue::Boolean(true) => Ok(vec![format!("--{name}").into()]),
                DeValue::Boolean(false) => Ok(Vec::new()),
                _ => Err(wrong("true or false")),
            };
        }
        let values: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(values) if is_list => values.iter().collect(),
            DeValue::Array(_) => return Err(wrong("one value, and no list")),
            _ => vec![value],
        };
        let word = |value: &Spanned<DeValue<'_>>| {
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.to_string(),
                _ => return Err(wrong(if is_list { "a list of strings" } else { "a string or a number" })),
            };
            check(arg, name, &text).map_err(|why| self.error(value.span(), why))?;
            Ok(OsString::from(format!("--{name}={text}")))
        };
        values.into_iter().map(word).collect()
    }
}

/// Whether clap takes a value of a flag, whatever else is given. Else why not, in a line.
fn check(arg: &Arg, name: &str, value: &str) -> Result<(), String> {
    let mut alone = Arg::new("value").long("value").value_name("VALUE");
    alone = alone.action(arg.get_action().clone()).value_parser(arg.get_value_parser().clone());
    if let Some(delimiter) = arg.get_value_delimiter() {
        alone = alone.value_delimiter(delimiter);
    }
    let checked =
        Command::new("sampan").no_binary_name(true).arg(alone).try_get_matches_from([format!("--value={value}")]);
    checked.map(|_| ()).map_err(|error| {
        let text = error.to_string();
        let said = text.split("\n\nFor more").next().unwrap_or_default().trim_start_matches("error: ");
        let said = said.replace("'--value <VALUE>'", &format!("`{name}`"));
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn read(text: &str, line: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sampan.toml");
        fs::write(&file, text).unwrap();
        let named = format!("--config={}", file.display());
        let line = ["sampan"].iter().chain(line).map(OsString::from).chain([named.clone().into()]).collect();
        let read = merged(&Cli::command(), line).map_err(|error| error.to_string());
        let words = read.map(|words| words.into_iter().map(|word| word.into_string().unwrap()));
        let shown = words.map_err(|error| error.replace(&file.display().to_string(), "sampan.toml"))?;
        Ok(shown.filter(|word| *word != named).skip(2).collect())
    }

    #[test]
    fn what_the_file_sets_becomes_flags_of_its_command_alone() {
        let text = "[server]\nhttp = \"0.0.0.0:80\"\nworkers = 2\nno-gateway = false\npublish-services = true\n\
                    trusted-proxies = [\"10.0.0.0/8\", \"192.0.2.1\"]\n[worker]\njoin = \"10.0.0.1:7444\"\ncpu = 0.5\n";
        let mut server = read(text, &["server"]).unwrap();
        server.sort();
        let flags = ["--http=0.0.0.0:80", "--publish-services", "--trusted-proxies=10.0.0.0/8"];
        assert_eq!(server, [&flags[..], &["--trusted-proxies=192.0.2.1", "--workers=2"]].concat());
        assert_eq!(read(text, &["worker"]).unwrap(), ["--cpu=0.5", "--join=10.0.0.1:7444"]);
        assert_eq!(read(text, &["gateway"]).unwrap(), [""; 0]);
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let text = "[worker]\njoin = \"10.0.0.1:7444\"\nlabel = [\"zone=a\"]\n";
        let line = read(text, &["worker", "--label", "zone=b"]).unwrap();
        assert_eq!(line, ["--join=10.0.0.1:7444", "--label", "zone=b"]);
    }

    #[test]
    fn other_commands_and_lines_that_are_wrong_are_left_as_they_are() {
        for line in [&["get", "pods"][..], &["server", "--help"], &["serve"]] {
            assert!(read("[nothing]\n", line).is_ok_and(|left| left.len() + 1 == line.len()), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_flag_or_no_value_of_it_is_refused_with_its_line() {
        for (text, says) in [
            ("[server]\nhtpp = \"0.0.0.0:80\"\n", "sampan.toml:2: unknown key `htpp`: did you mean `http`?"),
            ("[server]\nconfig = \"other.toml\"\n", "sampan.toml:2: unknown key `config`"),
            (
                "[servers]\n",
                "sampan.toml:1: unknown key `servers`: what is set stands in one of [server], [worker], [gateway]",
            ),
            ("http = \"0.0.0.0:80\"\n", "sampan.toml:1: unknown key `http`: what is set stands in one of"),
            ("server = 1\n", "sampan.toml:1: `server` is a table: write [server] above its flags"),
            ("\n[server]\nworkers = \"two\"\n", "sampan.toml:3: invalid value 'two' for `workers`: invalid digit"),
            ("[server]\nworkers = [1]\n", "sampan.toml:2: `workers` is one value, and no list"),
            ("[server]\nworkers = true\n", "sampan.toml:2: `workers` is a string or a number"),
            ("[server]\nno-gateway = 1\n", "sampan.toml:2: `no-gateway` is true or false"),
            ("[server]\ntrusted-proxies = [1, []]\n", "sampan.toml:2: "),
            ("[gateway]\nqueue-wait = \"soon\"\n", "sampan.toml:2: invalid value 'soon' for `queue-wait`: "),
            ("[server]\nhttp = \"1.2.3.4:5\"\nhttp = \"1.2.3.4:6\"\n", "sampan.toml:3: duplicate key"),
            ("[server\n", "sampan.toml:1: "),
        ] {
            let said = read(text, &["server"]).unwrap_err();
            assert!(said.starts_with(says), "{text}: {said}");
        }
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let line = ["sampan", "server", "--config=/dev/zero"].map(OsString::from).to_vec();
        let said = merged(&Cli::command(), line).unwrap_err().to_string();
        assert!(said.starts_with("/dev/zero is larger than the limit of 1048576 bytes"), "{said}");
    }

    #[test]
    fn every_flag_of_a_service_can_be_set() {
        let cli = Cli::command();
        for name in COMMANDS {
            for arg in cli.find_subcommand(name).unwrap().get_arguments() {
                assert!(arg.get_long().is_some(), "{name} {}", arg.get_id());
            }
        }
    }
}
