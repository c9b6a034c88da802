use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use api::Taint;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    print_line,
    worker::{cpu, label},
};
use crate::{
    client::{connection::ConnectionArgs, table::Table},
    output::{OutputArgs, Shown},
};

/// Let workers and gateways of other machines join
#[derive(Debug, clap::Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TokenCommand {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a join token and print it, or write it to a file: it is shown this once
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan token create --out token                   For one worker or gateway, within an hour
  sampan token create --role worker --name w1 --out token    For the worker `w1` alone
  sampan token create --role worker --uses 10 --ttl 10m --out token    For ten workers, within ten minutes
  sampan token create --role worker --max-memory 8Gi --label sampan.dev/tier=edge --out token    For one that may have no more")]
struct Create {
    /// File for it, which only this user may read; one that is there is replaced [default: standard output]
    #[arg(short, long, env = "SAMPAN_TOKEN_OUT", value_name = "FILE")]
    out: Option<PathBuf>,

    /// What may join with it: worker or gateway [default: either]
    #[arg(long, env = "SAMPAN_TOKEN_ROLE", value_name = "ROLE", value_parser = ["worker", "gateway"])]
    role: Option<String>,

    /// What is to join with it: it lets nobody in who is called otherwise [default: any name that is free]
    #[arg(long, env = "SAMPAN_TOKEN_NAME", value_name = "NAME")]
    name: Option<String>,

    /// How long it holds, at most 30d
    #[arg(long, env = "SAMPAN_TOKEN_TTL", default_value = "1h", value_name = "SPAN", value_parser = ttl)]
    ttl: Duration,

    /// How many may join with it
    #[arg(long, env = "SAMPAN_TOKEN_USES", default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: u32,

    /// CPU that a worker may have for guests, whatever it says [default: what it says]
    #[arg(long, env = "SAMPAN_TOKEN_MAX_CPU", value_name = "QUANTITY", value_parser = cpu)]
    max_cpu: Option<u64>,

    /// Memory that a worker may have for guests, such as `8Gi` [default: what it says]
    #[arg(long, env = "SAMPAN_TOKEN_MAX_MEMORY", value_name = "QUANTITY", value_parser = bytes)]
    max_memory: Option<u64>,

    /// Replicas that a worker may take [default: what it says]
    #[arg(long, env = "SAMPAN_TOKEN_MAX_REPLICAS", value_name = "N")]
    max_replicas: Option<u32>,

    /// Label that a worker's Node is given, also under `sampan.dev/`, which no worker gives itself; may be given again
    #[arg(long = "label", env = "SAMPAN_TOKEN_LABELS", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,

    /// Taint that a worker's Node is given, also under `sampan.dev/`; may be given again
    #[arg(long = "taint", env = "SAMPAN_TOKEN_TAINTS", value_name = "KEY=VALUE:EFFECT", value_delimiter = ',')]
    taints: Vec<Taint>,

    #[command(flatten)]
    client: ConnectionArgs,
}

/// Show the join tokens that have not ended: not their text, but what they are good for and who used them
///
/// One that is `untrusted` names an authority that was replaced: nobody joins with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan token list
  sampan token list -o jsonpath='{.items[?(@.state==\"valid\")].id}'")]
struct List {
    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    client: ConnectionArgs,
}

/// Take join tokens back: nobody joins with them any more. Who has joined stays, unless told otherwise
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan token revoke 1f2e3d4c
  sampan token revoke 1f2e3d4c --with-certificates    Cut off who has joined with it, too")]
struct Revoke {
    /// As `sampan token list` shows them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,

    /// Revoke the certificates, too, of who has joined with them: they are cut off within a second
    #[arg(long, env = "SAMPAN_WITH_CERTIFICATES")]
    with_certificates: bool,

    #[command(flatten)]
    client: ConnectionArgs,
}

#[derive(Debug, Deserialize)]
struct Listed {
    items: Vec<ShownToken>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShownToken {
    id: String,
    #[serde(default)]
    token: String,
    role: Option<String>,
    name: Option<String>,
    seconds_left: u64,
    uses_left: u32,
    used_by: Vec<String>,
    state: String,
}

#[derive(Debug, Deserialize)]
struct Revoked {
    certificates: Vec<super::certificate::ShownCertificate>,
}

/// The longest that a token may hold.
const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

fn ttl(text: &str) -> Result<Duration, String> {
    let span = api::parse_span(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=MAX_TTL).contains(&span) {
        Ok(span)
    } else {
        Err("a token holds 1s to 30d".to_owned())
    }
}

fn bytes(text: &str) -> Result<u64, api::InvalidQuantity> {
    text.parse::<api::Quantity>().map(api::Quantity::as_units)
}

impl Token {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            TokenCommand::Create(create) => create.run().await,
            TokenCommand::List(list) => list.run().await,
            TokenCommand::Revoke(revoke) => revoke.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let labels: BTreeMap<&str, &str> = self.labels.iter().map(|(key, value)| (&**key, &**value)).collect();
        let allows = json!({ "cpuMillis": self.max_cpu, "memoryBytes": self.max_memory, "replicas": self.max_replicas,
            "labels": labels, "taints": self.taints });
        let wanted = json!({ "role": self.role, "ttlSeconds": self.ttl.as_secs(), "uses": self.uses,
            "name": self.name, "allows": allows });
        let request = http::Request::post("/sampan/v1/tokens")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(&wanted)?)?;
        // Known before a token is made that nobody would see.
        self.out.as_deref().map_or(Ok(()), can_be_replaced)?;
        let made: ShownToken = self.client.connect().await?.send(request).await?;
        let Some(out) = &self.out else {
            print_line(made.token);
            return Ok(());
        };
        private_files::write(out, format!("{}\n", made.token).as_bytes())
            .with_context(|| format!("{} cannot be written: `sampan token revoke {}`", out.display(), made.id))?;
        print_line(format_args!("{}  token {} is in it", out.display(), made.id));
        Ok(())
    }
}

/// What is no file, such as a pipe, would be replaced by one.
pub(super) fn can_be_replaced(out: &Path) -> anyhow::Result<()> {
    let is_file = std::fs::symlink_metadata(out).map_or(true, |metadata| metadata.is_file());
    anyhow::ensure!(is_file, "--out: {} is there, and is no file: choose another", out.display());
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    anyhow::ensure!(folder.is_dir(), "--out: there is no folder {}: make it", folder.display());
    Ok(())
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let whole: Value = self.client.connect().await?.get("/sampan/v1/tokens").await?;
        let listed: Listed = serde_json::from_value(whole.clone())?;
        let names = Some(listed.items.iter().map(|token| token.id.clone()).collect());
        self.output.show_list(&Shown { what: "a list of tokens", whole: &whole, names }, || table(&listed.items))
    }
}

fn table(tokens: &[ShownToken]) -> Table {
    let columns = [("ID", 0), ("Role", 0), ("Name", 0), ("Ends in", 0), ("Left", 0), ("State", 0), ("Used by", 0)];
    let row = |token: &ShownToken| {
        let or_any = |text: &Option<String>| text.clone().unwrap_or_else(|| "any".to_owned());
        let ends = match token.seconds_left {
            0 => "ended".to_owned(),
            seconds => super::certificate::time_left(seconds),
        };
        let users = if token.used_by.is_empty() { "-".to_owned() } else { token.used_by.join(", ") };
        let (role, name) = (or_any(&token.role), or_any(&token.name));
        vec![token.id.clone(), role, name, ends, token.uses_left.to_string(), token.state.clone(), users]
    };
    Table::new(&columns, tokens.iter().map(row))
}

impl Revoke {
    async fn run(self) -> anyhow::Result<()> {
        let connection = self.client.connect().await?;
        for id in self.ids {
            let path = format!("/sampan/v1/tokens/{id}?certificates={}", self.with_certificates);
            let revoked: Revoked = connection.send(http::Request::delete(path).body(Vec::new())?).await?;
            print_line(format_args!("{id}  revoked"));
            super::certificate::print_revoked(&revoked.certificates);
        }
        Ok(())
    }
}
