use std::io::{BufRead, IsTerminal, Write};

use anyhow::Context;

use crate::{docker_config::DockerConfigFile, paths::DataDirArgs, registries::RegistriesArgs};

use super::print_line;

/// Keep credentials for a registry, where Docker keeps its own
///
/// The registry is asked first whether it takes them. A credential helper that Docker's configuration names for the
/// registry is used; else they are kept in $DOCKER_CONFIG/config.json or ~/.docker/config.json.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan login ghcr.io                                           Asks for user name and password
  echo $TOKEN | sampan login ghcr.io -u me --password-stdin      In a script")]
pub(crate) struct Login {
    /// The registry, such as `ghcr.io` or `localhost:5000`
    #[arg(value_name = "HOST")]
    host: String,

    /// User name
    #[arg(short, long, env = "SAMPAN_REGISTRY_USER", value_name = "NAME")]
    username: Option<String>,

    /// Read the password from standard input
    #[arg(long, env = "SAMPAN_PASSWORD_STDIN")]
    password_stdin: bool,

    #[command(flatten)]
    registries: RegistriesArgs,

    #[command(flatten)]
    data: DataDirArgs,
}

impl Login {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let name = match &self.username {
            Some(name) => name.clone(),
            None if std::io::stdin().is_terminal() => ask("User name: ")?,
            None => anyhow::bail!("name the user with --username"),
        };
        let password = if self.password_stdin {
            line_of_stdin()?
        } else {
            anyhow::ensure!(std::io::stdin().is_terminal(), "standard input is no terminal: use --password-stdin");
            rpassword::prompt_password("Password: ")?
        };
        anyhow::ensure!(!name.is_empty() && !password.is_empty(), "user name and password must not be empty");
        let dir = self.data.resolve()?;
        self.registries.for_client(&dir)?.check_login(&self.host, &name, &password).await?;
        let kept = DockerConfigFile::find()?.keep(&self.host, &name, &password)?;
        print_line(format_args!("{}  logged in as {name}; kept in {kept}", self.host));
        Ok(())
    }
}

/// Forget the credentials for a registry
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan logout ghcr.io    Forget what `sampan login` or `docker login` kept")]
pub(crate) struct Logout {
    /// The registry
    #[arg(value_name = "HOST")]
    host: String,
}

impl Logout {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let forgotten = DockerConfigFile::find()?.forget(&self.host)?;
        let said = if forgotten { "credentials forgotten" } else { "no credentials were kept" };
        print_line(format_args!("{}  {said}", self.host));
        Ok(())
    }
}

fn ask(what: &str) -> anyhow::Result<String> {
    let mut errors = std::io::stderr();
    errors.write_all(what.as_bytes())?;
    errors.flush()?;
    line_of_stdin()
}

fn line_of_stdin() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("standard input cannot be read")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
