use std::{path::PathBuf, time::Duration};

use anyhow::{anyhow, bail};
use http::{Method, Request};
use serde_json::{Value, json};

use super::print_line;
use crate::client::{
    apply::{plan, request},
    connection::{ClientArgs, Connection},
    kinds::{Kind, Kinds},
    manifest::Manifests,
    query::{Query, percent_encode},
    target::{Targets, targets},
};
use crate::terminal::print_error;

/// How often it is looked whether an object is gone.
const POLL: Duration = Duration::from_millis(100);

/// Delete objects by name, by label or by manifest
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan delete deployment shop          One object
  sampan delete pod/shop-7d4b9-x2x4q     A replica; another takes its place
  sampan delete -f deploy/               What manifests describe
  sampan delete services -l app=shop     By label")]
pub(crate) struct Delete {
    /// KIND NAME..., KIND/NAME, also several, or KIND with -l
    #[arg(value_name = "KIND [NAME...]", required_unless_present = "filename", conflicts_with = "filename")]
    target: Vec<String>,

    /// Manifests whose objects are to be deleted: file, folder or `-`
    #[arg(short, long = "filename", env = "SAMPAN_FILENAME", value_name = "FILE|DIR|-")]
    filename: Vec<PathBuf>,

    /// Delete the objects with these labels
    #[arg(short = 'l', long, env = "SAMPAN_SELECTOR", value_name = "SELECTOR")]
    selector: Option<String>,

    /// Objects that are not there are fine
    #[arg(long, env = "SAMPAN_IGNORE_NOT_FOUND")]
    ignore_not_found: bool,

    /// How long to wait until the objects are gone; `0s` does not wait
    #[arg(long, env = "SAMPAN_TIMEOUT", default_value = "1m", value_parser = api::parse_span, value_name = "SPAN")]
    timeout: Duration,

    #[command(flatten)]
    client: ClientArgs,
}

/// An object that is to be deleted.
struct Target {
    path: String,
    label: String,
}

impl Delete {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let connection = self.client.connect().await?;
        let kinds = Kinds::discover(&connection).await?;
        let targets = self.targets(&connection, &kinds).await?;
        if targets.is_empty() {
            print_error("No resources found.");
        }
        let mut missing = Vec::new();
        let mut waiting = Vec::new();
        for target in targets {
            let body = json!({"propagationPolicy": "Background"});
            let delete = request(Method::DELETE, target.path.clone(), "application/json", &body)?;
            match connection.send_optional::<Value>(delete).await? {
                Some(_) => waiting.push(target),
                None if self.ignore_not_found => {}
                None => missing.push(target.label),
            }
        }
        for target in waiting {
            wait_until_gone(&connection, &target, self.timeout).await?;
            print_line(format_args!("{} deleted", target.label));
        }
        if missing.is_empty() { Ok(()) } else { bail!("not found: {}", missing.join(", ")) }
    }

    async fn targets(&self, connection: &Connection, kinds: &Kinds) -> anyhow::Result<Vec<Target>> {
        if !self.filename.is_empty() {
            return self.targets_of_manifests(connection, kinds);
        }
        let mut all = Vec::new();
        for Targets { kinds: word, names } in targets(&self.target)? {
            let kind = kinds.named(&word)?;
            let names = match &self.selector {
                None if names.is_empty() => bail!("say which {}, by name or with -l", kind.plural),
                None => names,
                Some(_) if !names.is_empty() => bail!("a name and -l do not go together"),
                Some(selector) => names_of(connection, kind, selector).await?,
            };
            let collection = kind.path(Some(&connection.namespace));
            let path = |name: &String| format!("{collection}/{}", percent_encode(name));
            all.extend(names.iter().map(|name| Target { path: path(name), label: kind.label(name) }));
        }
        Ok(all)
    }

    fn targets_of_manifests(&self, connection: &Connection, kinds: &Kinds) -> anyhow::Result<Vec<Target>> {
        let manifests = Manifests::read(&self.filename);
        if let Some(problem) = manifests.problems.into_iter().next() {
            return Err(problem.into());
        }
        let planned =
            plan(manifests.documents, kinds, &connection.namespace).map_err(|problems| anyhow!("{}", problems[0]))?;
        // What was made first goes last: a namespace takes all in it along.
        let targets = planned.iter().rev().map(|one| Target { path: one.path(), label: one.kind.label(&one.name) });
        Ok(targets.collect())
    }
}

async fn names_of(connection: &Connection, kind: &Kind, selector: &str) -> anyhow::Result<Vec<String>> {
    let path = kind.path(Some(&connection.namespace));
    let query = Query { kind, path, selectors: vec![("labelSelector", selector.to_owned())] };
    let objects = query.objects(connection).await?;
    Ok(objects.iter().filter_map(|object| object["metadata"]["name"].as_str().map(str::to_owned)).collect())
}

async fn wait_until_gone(connection: &Connection, target: &Target, timeout: Duration) -> anyhow::Result<()> {
    let gone = async {
        while !timeout.is_zero() {
            let read = Request::get(&target.path).body(Vec::new())?;
            if connection.send_optional::<Value>(read).await?.is_none() {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    match tokio::time::timeout(timeout.max(POLL), gone).await {
        Ok(result) => result,
        Err(_) => bail!("{} is being deleted, but is still there after {}", target.label, api::format_span(timeout)),
    }
}
