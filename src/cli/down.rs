use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
};

use anyhow::{anyhow, bail};

use super::print_line;
use crate::{
    client::{
        connection::ClientArgs,
        kinds::{Kinds, closest},
        projects::{Owned, delete, owned},
    },
    errors::HintExt,
};

/// End what `sampan dev` has deployed
///
/// What `dev` deploys goes on after it, wherever a server runs on its data directory. This deletes the objects of one app,
/// which is called as its sampan.toml says, or of all.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan down shop                           One app
  sampan down                                Say what there is, and ask whether all of it is to end
  sampan down --all                          All, without asking")]
pub(crate) struct Down {
    /// The app
    #[arg(value_name = "APP", conflicts_with = "all")]
    app: Option<String>,

    /// All apps, without asking
    #[arg(long, env = "SAMPAN_ALL")]
    all: bool,

    #[command(flatten)]
    client: ClientArgs,
}

impl Down {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let connection = self.client.connect().await?;
        let kinds = Kinds::discover(&connection).await?;
        let mut apps = owned(&connection, &kinds, self.app.as_deref()).await?;
        if let Some(namespace) = &self.client.namespace {
            for objects in apps.values_mut() {
                objects.retain(|object| object.namespace.as_ref() == Some(namespace));
            }
            apps.retain(|_, objects| !objects.is_empty());
        }
        if let (Some(app), true) = (&self.app, apps.is_empty()) {
            let known: Vec<String> = owned(&connection, &kinds, None).await?.into_keys().collect();
            return Err(unknown(app, &known));
        }
        if apps.is_empty() {
            print_line("Nothing that `sampan dev` deployed is here; `sampan get deployments` shows what is.");
            return Ok(());
        }
        if self.app.is_none() && !self.all && !confirmed(&apps)? {
            return Ok(());
        }
        for (app, objects) in &apps {
            for object in objects {
                if delete(&connection, object).await? {
                    print_line(format_args!("{} deleted", object.label));
                }
            }
            print_line(format_args!("{app} has ended"));
        }
        Ok(())
    }
}

fn unknown(app: &str, known: &[String]) -> anyhow::Error {
    let error = anyhow!("no app `{app}` is here");
    match (closest(app, known.iter().map(String::as_str)), known) {
        (Some(near), _) => error.hint(format!("did you mean `{near}`?")),
        (None, []) => error.hint("nothing is that `sampan dev` deployed"),
        (None, known) => error.hint(format!("there are {}", known.join(", "))),
    }
}

/// Shows what would end, and asks.
fn confirmed(apps: &BTreeMap<String, Vec<Owned>>) -> anyhow::Result<bool> {
    for (app, objects) in apps {
        print_line(format_args!("{app}: {}", counts(objects)));
    }
    if !io::stdin().is_terminal() {
        bail!("say which app is to end, or --all");
    }
    let mut out = io::stdout();
    write!(out, "End {}? [y/N] ", if apps.len() == 1 { "it" } else { "all of them" })?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Such as `2 Deployments, 1 Service`.
pub(crate) fn counts(objects: &[Owned]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for object in objects {
        *counts.entry(&object.kind).or_default() += 1;
    }
    let plural = |kind: &str, count| match (kind, count) {
        (kind, 1) => kind.to_owned(),
        (kind, _) if kind.ends_with("ss") => format!("{kind}es"),
        (kind, _) if kind.ends_with('y') => format!("{}ies", kind.trim_end_matches('y')),
        (kind, _) => format!("{kind}s"),
    };
    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {}", plural(kind, *count))).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_counted_by_kind() {
        let object =
            |kind: &str| Owned { kind: kind.into(), label: String::new(), namespace: None, path: String::new() };
        let objects = ["Deployment", "Ingress", "Ingress", "NetworkPolicy", "NetworkPolicy"].map(object);
        assert_eq!(counts(&objects), "1 Deployment, 2 Ingresses, 2 NetworkPolicies");
    }
}
