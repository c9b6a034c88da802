use anyhow::{Context, bail};
use clap::ValueEnum;
use futures::{AsyncBufReadExt, TryStreamExt};
use serde_json::{Value, json};

use super::print_line;
use crate::{
    client::{
        connection::{ClientArgs, Connection},
        events::{self, Subject},
        kinds::Kinds,
        table::TablePrinter,
        target::split_target,
    },
    output::{Output, OutputArgs, Shown},
    terminal::print_error,
};

/// Show what happened, the latest last: pulls, starts, failures, scaling
///
/// An event that happens again is counted. Events are kept for an hour after they last happened.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan events                          Of this namespace
  sampan events --for deployment/shop    Of a Deployment, its revisions and its replicas
  sampan events -A --type warning        What went wrong anywhere
  sampan events --watch                  And go on with what happens")]
pub(crate) struct Events {
    /// Only what is about this object, or about what was made for it
    #[arg(long = "for", env = "SAMPAN_FOR", value_name = "KIND/NAME")]
    about: Option<String>,

    /// Only these
    #[arg(long = "type", env = "SAMPAN_EVENT_TYPE", value_name = "TYPE", value_enum, ignore_case = true)]
    only: Option<Type>,

    /// Of every namespace
    #[arg(short = 'A', long, env = "SAMPAN_ALL_NAMESPACES", conflicts_with = "namespace")]
    all_namespaces: bool,

    /// After that, show what happens as it does
    #[arg(short, long, env = "SAMPAN_WATCH")]
    watch: bool,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    client: ClientArgs,
}

/// What kind of news an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Type {
    Normal,
    Warning,
}

/// Which events are shown.
struct Chosen {
    about: Option<Subject>,
    only: Option<Type>,
}

impl Chosen {
    fn has(&self, event: &Value) -> bool {
        let wanted = match self.only {
            Some(Type::Normal) => Some("Normal"),
            Some(Type::Warning) => Some("Warning"),
            None => None,
        };
        wanted.is_none_or(|wanted| event["type"] == wanted) && self.about.as_ref().is_none_or(|about| about.has(event))
    }
}

impl Events {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let connection = self.client.connect().await?;
        let mut scope = (!self.all_namespaces).then(|| connection.namespace.clone());
        let mut chosen = Chosen { about: None, only: self.only };
        if let Some(target) = &self.about {
            let (kind, name) = split_target(std::slice::from_ref(target))?;
            let name = name.with_context(|| format!("--for: say which: {kind}/NAME"))?;
            let kinds = Kinds::discover(&connection).await?;
            let kind = kinds.named(&kind)?;
            if !kind.namespaced {
                // Those of what is in no namespace are in this one.
                scope = scope.map(|_| "default".to_owned());
            }
            chosen.about = Some(Subject { kind: kind.kind.clone(), name });
        }
        let (all, version) = events::list(&connection, scope.as_deref()).await?;
        let shown: Vec<Value> = all.into_iter().filter(|event| chosen.has(event)).collect();
        let columns = match self.output.format() {
            Output::Table(columns) => columns,
            Output::Whole(_) if self.watch => bail!("--watch goes with tables, not with -o"),
            Output::Whole(whole) => return print_whole(&whole, shown),
        };
        let mut printer = TablePrinter::new(columns);
        if self.all_namespaces {
            printer = printer.with_namespace();
        }
        if !shown.is_empty() {
            printer.lines(&events::table(&shown)).into_iter().for_each(print_line);
        }
        if self.watch {
            return watch(&connection, scope.as_deref(), &version, &chosen, printer).await;
        }
        if shown.is_empty() {
            let of = self.about.map(|about| format!(" of {about}")).unwrap_or_default();
            let place = scope.map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default();
            print_error(format_args!("Nothing has happened{of}{place} in the last hour."));
        }
        Ok(())
    }
}

fn print_whole(whole: &crate::output::Whole, events: Vec<Value>) -> anyhow::Result<()> {
    let names = events.iter().map(|event| format!("event/{}", event["metadata"]["name"].as_str().unwrap_or_default()));
    let names = Some(names.collect());
    let mut events = events;
    for event in &mut events {
        event["apiVersion"] = json!("v1");
        event["kind"] = json!("Event");
    }
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": events, "metadata": { "resourceVersion": "" } });
    Shown { what: "a list of events", whole: &list, names }.print(whole)
}

/// Prints each event as it happens, until the server ends the stream.
async fn watch(
    connection: &Connection,
    namespace: Option<&str>,
    from: &str,
    chosen: &Chosen,
    mut printer: TablePrinter,
) -> anyhow::Result<()> {
    let uri = format!("{}?watch=true&resourceVersion={from}", events::path(namespace));
    let mut lines = connection.stream(http::Request::get(uri).body(Vec::new())?).await?.lines();
    while let Some(line) = lines.try_next().await.context("the watch broke off")? {
        let mut change: Value = serde_json::from_str(&line).context("the server sent something else than an event")?;
        match change["type"].as_str() {
            Some("ERROR") => {
                bail!("the watch ended: {}", change["object"]["message"].as_str().unwrap_or("no reason given"))
            }
            Some("ADDED" | "MODIFIED") if chosen.has(&change["object"]) => {
                printer.lines(&events::table(&[change["object"].take()])).into_iter().for_each(print_line);
            }
            // One that is forgotten has not happened again.
            _ => {}
        }
    }
    Ok(())
}
