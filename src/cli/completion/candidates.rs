//! What may come next, as the server knows it.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use http::header::ACCEPT;
use serde_json::Value;

use super::context::{self, Context};
use crate::{
    client::{
        connection::Connection,
        kinds::{Kind, Kinds},
        projects::owned,
    },
    output,
};

/// Names that are asked for at most: nobody reads more.
const MAX_NAMES: usize = 500;
/// Kinds that the server alone writes.
const SHOWN_ALONE: [&str; 2] = ["events", "endpointslices"];
/// Names without what belongs to them.
const NAMES_ALONE: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";

type Candidates = Vec<CompletionCandidate>;
/// Gives those that go on from what is there.
type Complete = fn(&OsStr) -> Candidates;

/// Who knows the values of an argument: of a command, or of every one; the first line that fits holds.
const KNOWN: [(&str, &str, Complete); 15] = [
    ("", "namespace", namespaces),
    ("", "output", formats),
    ("logs", "target", log_targets),
    ("rollout", "target", rollout_targets),
    ("port-forward", "target", forward_targets),
    ("", "target", objects),
    ("events", "about", subjects),
    ("down", "app", apps),
    ("", "nodes", nodes),
    ("token revoke", "ids", tokens),
    ("certificate revoke", "which", certificates),
    ("sign", "image", images),
    ("verify", "image", images),
    ("inspect", "what", images_and_files),
    ("push", "what", images_and_files),
];

/// The command, and those below it, with who knows the values of its arguments. `path` is what the user has written to get there.
pub(super) fn attached(command: clap::Command, path: &str) -> clap::Command {
    let wants_flags = context::current().starts_with('-');
    let command = command.mut_args(|argument| {
        // Among names flags would only be in the way: they come with the first dash, or where nothing else is left.
        let hidden = argument.is_hide_set() || !(argument.is_positional() || wants_flags);
        let argument = argument.hide(hidden);
        // What other commands put out, and where, is a file.
        let takes = argument.get_action().takes_values() && argument.get_value_parser().possible_values().is_none();
        let known = KNOWN.iter().find(|(of, id, _)| path.starts_with(of) && argument.get_id() == *id);
        match known.filter(|_| takes) {
            Some((_, _, complete)) => argument.add(ArgValueCompleter::new(*complete)),
            None => argument,
        }
    });
    command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        attached(below, path.trim_start())
    })
}

/// Those that go on from what is there.
fn those(current: &OsStr, all: impl IntoIterator<Item = String>) -> Candidates {
    let Some(begun) = current.to_str() else { return Vec::new() };
    all.into_iter().filter(|one| one.starts_with(begun)).map(CompletionCandidate::new).collect()
}

async fn names(connection: &Connection, kind: &Kind) -> anyhow::Result<Vec<String>> {
    let path = format!("{}?limit={MAX_NAMES}", kind.path(Some(&connection.namespace)));
    let request = http::Request::get(path).header(ACCEPT, NAMES_ALONE).body(Vec::new())?;
    let answer: Value = connection.send(request).await?;
    let items = answer["items"].as_array().into_iter().flatten();
    Ok(items.filter_map(|item| Some(item["metadata"]["name"].as_str()?.to_owned())).collect())
}

/// KIND, KIND/NAME, or names after KIND.
fn objects(current: &OsStr) -> Candidates {
    let context = Context::read();
    let begun = current.to_string_lossy().into_owned();
    let answer = context.ask(async |connection| {
        let kinds = Kinds::discover(&connection).await?;
        if let Some((word, _)) = begun.split_once('/') {
            let found = names(&connection, kinds.named(word)?).await?;
            return Ok(found.into_iter().map(|name| format!("{word}/{name}")).collect());
        }
        match context.target.first() {
            Some(kind) if !kind.contains('/') => {
                let found = names(&connection, kinds.named(kind)?).await?;
                Ok(found.into_iter().filter(|name| !context.target.contains(name)).collect())
            }
            Some(_) => Ok(Vec::new()),
            None => Ok(named(&kinds)),
        }
    });
    those(current, answer.unwrap_or_default())
}

/// KIND/NAME.
fn subjects(current: &OsStr) -> Candidates {
    let mut all = objects(current);
    if !current.to_string_lossy().contains('/') {
        let with_slash = |kind: CompletionCandidate| format!("{}/", kind.get_value().to_string_lossy());
        all = all.into_iter().map(|kind| CompletionCandidate::new(with_slash(kind))).collect();
    }
    all
}

/// Those of which there may be objects: of others the server says only that it has none.
fn named(kinds: &Kinds) -> Vec<String> {
    let may_be =
        |kind: &&Kind| kind.allows("create") || kind.allows("delete") || SHOWN_ALONE.contains(&kind.plural.as_str());
    let mut names: Vec<String> = kinds.iter().filter(may_be).map(|kind| kind.plural.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Names of one kind.
fn of_kind(kind: &'static str) -> Option<Vec<String>> {
    Context::read().ask(async |connection| {
        let kinds = Kinds::discover(&connection).await?;
        names(&connection, kinds.named(kind)?).await
    })
}

/// Namespaces.
fn namespaces(current: &OsStr) -> Candidates {
    those(current, of_kind("namespaces").unwrap_or_default())
}

/// Workers.
fn nodes(current: &OsStr) -> Candidates {
    those(current, of_kind("nodes").unwrap_or_default())
}

/// `deployment/NAME`, or the name after `deployment`.
fn rollout_targets(current: &OsStr) -> Candidates {
    let is_named = Context::read().target.first().is_some_and(|kind| !kind.contains('/'));
    let found = of_kind("deployments").unwrap_or_default();
    those(current, found.into_iter().map(|name| if is_named { name } else { format!("deployment/{name}") }))
}

/// `service/NAME` and `deployment/NAME`; after `KIND/`, those of the kind.
fn forward_targets(current: &OsStr) -> Candidates {
    of_kinds(current, ["service", "deployment"], |kind, name| format!("{kind}/{name}"))
}

/// What `sampan dev` has deployed.
fn apps(current: &OsStr) -> Candidates {
    let answer = Context::read().ask(async |connection| {
        let kinds = Kinds::discover(&connection).await?;
        Ok(owned(&connection, &kinds, None).await?.into_keys().collect::<Vec<_>>())
    });
    those(current, answer.unwrap_or_default())
}

/// Deployments and Pods by their names; after `KIND/`, those of the kind.
fn log_targets(current: &OsStr) -> Candidates {
    of_kinds(current, ["deployment", "pod"], |_, name| name)
}

/// Names of two kinds, as they are to be written; after `KIND/`, those of that kind.
fn of_kinds(current: &OsStr, wanted: [&'static str; 2], written: fn(&str, String) -> String) -> Candidates {
    if current.to_string_lossy().contains('/') {
        return objects(current);
    }
    let answer = Context::read().ask(async |connection| {
        let kinds = Kinds::discover(&connection).await?;
        let mut all = Vec::new();
        for kind in wanted {
            let found = names(&connection, kinds.named(kind)?).await?;
            all.extend(found.into_iter().map(|name| written(kind, name)));
        }
        Ok(all)
    });
    those(current, answer.unwrap_or_default())
}

/// A text of each item of one of the lists that are Sampan's own.
fn listed(path: &'static str, text: fn(&Value) -> Option<String>) -> Vec<String> {
    let answer = Context::read().ask(async |connection| connection.get::<Value>(path).await);
    let answer = answer.unwrap_or_default();
    answer["items"].as_array().into_iter().flatten().filter_map(text).collect()
}

/// Images of the installation.
fn images(current: &OsStr) -> Candidates {
    those(current, listed("/sampan/v1/images", |image| Some(image["reference"].as_str()?.to_owned())))
}

/// Images, or files that hold a component.
fn images_and_files(current: &OsStr) -> Candidates {
    let mut all = images(current);
    all.extend(PathCompleter::any().complete(current));
    all
}

/// Join tokens.
fn tokens(current: &OsStr) -> Candidates {
    those(current, listed("/sampan/v1/tokens", |token| Some(token["id"].as_str()?.to_owned())))
}

/// Whose certificates there are.
fn certificates(current: &OsStr) -> Candidates {
    let name = |it: &Value| Some(format!("{}/{}", it["role"].as_str()?, it["name"].as_str()?));
    let mut all = listed("/sampan/v1/certificates", name);
    all.sort();
    all.dedup();
    those(current, all)
}

/// Of `-o`.
fn formats(current: &OsStr) -> Candidates {
    those(current, output::FORMATS.map(str::to_owned))
}
