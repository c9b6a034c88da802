//! How this user reaches registries: the file about them, and this installation's own.

use std::{env, path::PathBuf};

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use kube::config::Kubeconfig;
use registry_client::{Registries, RegistryHost, RegistrySettings};

use crate::paths::DataDir;

/// The `--registries` flag.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct RegistriesArgs {
    /// File with mirrors and private authorities of registries [default: ~/.config/sampan/registries.toml]
    #[arg(long, env = "SAMPAN_REGISTRIES", value_name = "FILE", help_heading = "Connection")]
    registries: Option<PathBuf>,
}

impl RegistriesArgs {
    /// What the file says. A file that was named must be there.
    pub(crate) fn settings(&self) -> anyhow::Result<RegistrySettings> {
        let path = match &self.registries {
            Some(path) => {
                anyhow::ensure!(path.is_file(), "{} is not there: it was named with --registries", path.display());
                Some(path.clone())
            }
            None => default_file(),
        };
        let read = path.map(|path| RegistrySettings::read(&path)).transpose();
        Ok(read.context("the registries' file (--registries) cannot be used")?.unwrap_or_default())
    }

    /// Registries for a command: with the token of the installation in this data directory, for its own one.
    pub(crate) fn for_client(&self, dir: &DataDir) -> anyhow::Result<Registries> {
        let mut settings = self.settings()?;
        if dir.kubeconfig().is_file() {
            let own = own_registry(dir).with_context(|| format!("{} cannot be read", dir.kubeconfig().display()))?;
            for (host, registry) in own {
                settings.registry.entry(host).or_insert(registry);
            }
        }
        Ok(Registries::new(settings)?)
    }
}

fn default_file() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    config.map(|config| config.join("sampan/registries.toml"))
}

/// The registry at the API's address, by the names that lead there.
fn own_registry(dir: &DataDir) -> anyhow::Result<Vec<(String, RegistryHost)>> {
    let config = Kubeconfig::read_from(dir.kubeconfig())?;
    let cluster = config.clusters.first().and_then(|named| named.cluster.as_ref()).context("it names no cluster")?;
    let server: http::Uri = cluster.server.as_deref().context("it names no server")?.parse()?;
    let authority = server.authority().context("its server is no URL")?;
    let ca = cluster.certificate_authority_data.as_deref().context("it has no authority")?;
    let user = config.auth_infos.first().and_then(|named| named.auth_info.as_ref()).context("it names no user")?;
    let token = user.token.as_ref().map(|token| secrecy::ExposeSecret::expose_secret(token).to_owned());
    let registry = RegistryHost { token, ca_pem: Some(BASE64_STANDARD.decode(ca)?), ..RegistryHost::default() };
    let port = authority.port_u16().unwrap_or(443);
    let names = [authority.to_string(), format!("localhost:{port}"), format!("127.0.0.1:{port}")];
    Ok(names.into_iter().map(|name| (name, registry.clone())).collect())
}
