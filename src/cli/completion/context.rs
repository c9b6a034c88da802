//! What stands on the command line before the word that is completed.

use std::{ffi::OsString, time::Duration};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};

use super::super::Cli;
use crate::client::connection::{ClientArgs, Connection};

/// So long a shell waits for names; without an answer there are none.
const PATIENCE: Duration = Duration::from_millis(500);

/// What was written so far.
pub(super) struct Context {
    /// The words of `target`: a kind and names, as far as they are there.
    pub(super) target: Vec<String>,
    matches: ArgMatches,
}

/// The flags that say which server is asked.
#[derive(Debug, Parser)]
struct Asked {
    #[command(flatten)]
    client: ClientArgs,
}

impl Context {
    /// Reads it from this process's own arguments, as a shell gives them: after `--`, the words; which is completed, a variable says,
    /// else it is the last.
    pub(super) fn read() -> Self {
        let (words, before) = words();
        Self::of(&words[..before])
    }

    fn of(words: &[OsString]) -> Self {
        let parsed = Cli::command().ignore_errors(true).try_get_matches_from(words);
        let mut matches = parsed.unwrap_or_default();
        while let Some((_, below)) = matches.remove_subcommand() {
            matches = below;
        }
        let target = matches.try_get_many::<String>("target").ok().flatten();
        let target = target.into_iter().flatten().cloned().collect();
        Self { target, matches }
    }

    /// Asks the server; `None` where there is none, it refuses, or it takes too long.
    pub(super) fn ask<T>(&self, question: impl AsyncFnOnce(Connection) -> anyhow::Result<T>) -> Option<T> {
        let mut flags: Vec<OsString> = vec!["sampan".into()];
        for (id, flag) in [("namespace", "--namespace"), ("kubeconfig", "--kubeconfig"), ("data_dir", "--data-dir")] {
            let raw = self.matches.try_get_raw(id).ok().flatten().and_then(Iterator::last);
            flags.extend(raw.into_iter().flat_map(|value| [flag.into(), value.to_owned()]));
        }
        let asked = Asked::from_arg_matches(&Asked::command().try_get_matches_from(flags).ok()?).ok()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(async {
            let answer = async { question(asked.client.connect().await?).await };
            tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()
        })
    }
}

/// The word that is completed, as far as it is there.
pub(super) fn current() -> String {
    let (words, before) = words();
    words.get(before).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The words of the command line, and how many stand before the one that is completed.
fn words() -> (Vec<OsString>, usize) {
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
    let before = index.unwrap_or(words.len().saturating_sub(1)).min(words.len());
    (words, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(line: &str) -> Context {
        Context::of(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn flags_and_kinds_that_were_written_are_known_wherever_they_stand() {
        let get = context("sampan get -n shop -o wide pods");
        assert_eq!(get.target, ["pods"]);
        let namespace = get.matches.try_get_one::<String>("namespace").ok().flatten();
        assert_eq!(namespace.map(String::as_str), Some("shop"));
        assert_eq!(context("sampan rollout status deployment").target, ["deployment"]);
    }
}
