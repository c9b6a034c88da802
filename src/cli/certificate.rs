use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::print_line;
use crate::{
    client::{connection::ConnectionArgs, table::Table},
    output::{OutputArgs, Shown},
};

const AUTHORITIES: &str = "/sampan/v1/authorities";

/// Show and revoke the certificates of workers and gateways that have joined, and replace the authority that signs them
#[derive(Debug, clap::Args)]
pub(crate) struct Certificate {
    #[command(subcommand)]
    command: CertificateCommand,
}

#[derive(Debug, clap::Subcommand)]
enum CertificateCommand {
    List(List),
    Revoke(Revoke),
    Authorities(Authorities),
    Rotate(Rotate),
}

/// Show the authorities whose certificates are taken: the first signs, another was replaced and is still trusted
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan certificate authorities
  sampan certificate authorities -o json")]
struct Authorities {
    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    client: ConnectionArgs,
}

/// Have another authority sign certificates. Both are trusted until nothing of the former holds any more
///
/// Workers and gateways are told at once, and get certificates of the new one as they renew theirs. Join tokens of before go
/// on to work. The former is dropped by itself, usually a day later, or by `--finish`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan certificate rotate             Where a key may be known to others, or an authority is about to end
  sampan certificate rotate --finish    Whoever still has a certificate or a token of the former joins again")]
struct Rotate {
    /// Trust what was before the last rotation no more, from now on
    #[arg(long, env = "SAMPAN_FINISH")]
    finish: bool,

    #[command(flatten)]
    client: ConnectionArgs,
}

#[derive(Debug, Deserialize)]
struct ListedAuthorities {
    items: Vec<ShownAuthority>,
}

#[derive(Debug, Deserialize)]
struct ShownAuthority {
    fingerprint: String,
    since: String,
    ends: String,
}

impl OutputArgs {
    fn show_authorities(&self, whole: &Value) -> anyhow::Result<()> {
        let listed: ListedAuthorities = serde_json::from_value(whole.clone())?;
        let names = Some(listed.items.iter().map(|authority| authority.fingerprint.clone()).collect());
        let row = |(number, authority): (usize, &ShownAuthority)| {
            let state = if number == 0 { "signs" } else { "trusted" };
            let ShownAuthority { fingerprint, since, ends } = authority;
            vec![fingerprint.clone(), since.clone(), ends.clone(), state.to_owned()]
        };
        self.show_list(&Shown { what: "a list of authorities", whole, names }, || {
            let columns = [("Fingerprint", 0), ("Since", 0), ("Ends", 0), ("State", 0)];
            Table::new(&columns, listed.items.iter().enumerate().map(row))
        })
    }
}

impl Authorities {
    async fn run(self) -> anyhow::Result<()> {
        self.output.show_authorities(&self.client.connect().await?.get(AUTHORITIES).await?)
    }
}

impl Rotate {
    async fn run(self) -> anyhow::Result<()> {
        let request = if self.finish { http::Request::delete(AUTHORITIES) } else { http::Request::post(AUTHORITIES) };
        let authorities: Value = self.client.connect().await?.send(request.body(Vec::new())?).await?;
        OutputArgs::default().show_authorities(&authorities)
    }
}

/// Show certificates that have not ended: whose they are, and which join token they go back to
///
/// One that is `untrusted` was signed by an authority that was replaced: nobody takes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan certificate list
  sampan certificate list -o json")]
struct List {
    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    client: ConnectionArgs,
}

/// Revoke certificates: who has them is cut off within a second, and the name is free for another who joins with a token
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan certificate revoke worker/w1                             All of this worker, as `kubectl delete node w1` does
  sampan certificate revoke 4f0c1d6a2b7e9983c1f05a6b7d8e9f01      One, and others of the same key")]
struct Revoke {
    /// Names, such as `w1` or `worker/w1`, or serial numbers
    #[arg(required = true, value_name = "NAME|SERIAL", value_parser = name_or_serial)]
    which: Vec<String>,

    #[command(flatten)]
    client: ConnectionArgs,
}

fn name_or_serial(text: &str) -> Result<String, String> {
    let (role, name) = text.split_once('/').map_or((None, text), |(role, name)| (Some(role), name));
    if let Some(role) = role.filter(|role| !["worker", "gateway", "control-plane"].contains(role)) {
        return Err(format!("`{role}` is no role: write worker/NAME, gateway/NAME or control-plane/main"));
    }
    api::check_dns_subdomain(name).map(|()| text.to_owned()).map_err(|why| why.to_string())
}

#[derive(Debug, Deserialize)]
struct Listed {
    items: Vec<ShownCertificate>,
}

/// A certificate as the server shows it; without a serial number, a name that is kept for who had one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownCertificate {
    serial: Option<String>,
    role: String,
    name: String,
    token: Option<String>,
    seconds_left: u64,
    state: String,
}

impl ShownCertificate {
    /// As `revoke` takes it.
    fn full_name(&self) -> String {
        format!("{}/{}", self.role, self.name)
    }
}

impl Certificate {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            CertificateCommand::List(list) => list.run().await,
            CertificateCommand::Revoke(revoke) => revoke.run().await,
            CertificateCommand::Authorities(authorities) => authorities.run().await,
            CertificateCommand::Rotate(rotate) => rotate.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let whole: Value = self.client.connect().await?.get("/sampan/v1/certificates").await?;
        let listed: Listed = serde_json::from_value(whole.clone())?;
        let names = listed.items.iter().map(ShownCertificate::full_name).collect();
        let shown = Shown { what: "a list of certificates", whole: &whole, names: Some(names) };
        self.output.show_list(&shown, || table(&listed.items))
    }
}

/// In one unit that is neither too many nor too few.
pub(super) fn time_left(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn table(items: &[ShownCertificate]) -> Table {
    let columns = [("Serial", 0), ("Name", 0), ("Token", 0), ("Ends in", 0), ("State", 0)];
    let row = |certificate: &ShownCertificate| {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let ends = match certificate.seconds_left {
            0 => "-".to_owned(),
            seconds => time_left(seconds),
        };
        vec![
            or_none(&certificate.serial),
            certificate.full_name(),
            or_none(&certificate.token),
            ends,
            certificate.state.clone(),
        ]
    };
    Table::new(&columns, items.iter().map(row))
}

/// Says what was revoked.
pub(super) fn print_revoked(revoked: &[ShownCertificate]) {
    for ShownCertificate { serial, role, name, .. } in revoked {
        print_line(format_args!("{role}/{name}  certificate {} revoked", serial.as_deref().unwrap_or_default()));
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Revoked {
    items: Vec<ShownCertificate>,
    name_freed: bool,
}

impl Revoke {
    async fn run(self) -> anyhow::Result<()> {
        let connection = self.client.connect().await?;
        for which in self.which {
            let path = format!("/sampan/v1/certificates?which={which}");
            let revoked: Revoked = connection.send(http::Request::delete(path).body(Vec::new())?).await?;
            print_revoked(&revoked.items);
            if revoked.items.is_empty() && revoked.name_freed {
                print_line(format_args!("{which}  had no certificate that holds: the name is free"));
            }
        }
        Ok(())
    }
}
