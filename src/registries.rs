//! How this user reaches registries: the file about them, and this installation's own.

use std::{env, net::IpAddr, path::PathBuf};

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use kube::config::Kubeconfig;
use registry_client::{Registries, RegistryHost, RegistrySettings};

use crate::paths::DataDir;

/// The `--registries` flag.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct RegistriesArgs {
    /// File with mirrors and private authorities of registries, read at the start [default: ~/.config/sampan/registries.toml]
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

    /// Registries for a command: with the token of the installation in this data directory, and of the one that KUBECONFIG
    /// names, each for its own registry.
    pub(crate) fn for_client(&self, dir: &DataDir) -> anyhow::Result<Registries> {
        let mut settings = self.settings()?;
        let mut own = Vec::new();
        if dir.kubeconfig().is_file() {
            let config = Kubeconfig::read_from(dir.kubeconfig()).map_err(anyhow::Error::from);
            let read = config.and_then(|config| own_registry(&config));
            own = read.with_context(|| format!("{} cannot be read", dir.kubeconfig().display()))?;
        }
        // It may be of anybody's cluster: what is not of ours has no registry that is asked.
        if let Ok(Some(config)) = Kubeconfig::from_env() {
            own.extend(own_registry(&config).unwrap_or_default());
        }
        for (host, registry) in own {
            settings.registry.entry(host).or_insert(registry);
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
fn own_registry(config: &Kubeconfig) -> anyhow::Result<Vec<(String, RegistryHost)>> {
    let context = config.contexts.iter().find(|named| config.current_context.as_ref() == Some(&named.name));
    let context = context.and_then(|named| named.context.as_ref());
    let cluster = config.clusters.iter().find(|named| context.is_none_or(|context| context.cluster == named.name));
    let user = config
        .auth_infos
        .iter()
        .find(|named| context.is_none_or(|context| context.user.as_ref().is_none_or(|user| *user == named.name)));
    let cluster = cluster.and_then(|named| named.cluster.as_ref()).context("it names no cluster")?;
    let server: http::Uri = cluster.server.as_deref().context("it names no server")?.parse()?;
    let authority = server.authority().context("its server is no URL")?;
    let ca = cluster.certificate_authority_data.as_deref().context("it has no authority")?;
    let user = user.and_then(|named| named.auth_info.as_ref()).context("it names no user")?;
    let token = user.token.as_ref().map(|token| secrecy::ExposeSecret::expose_secret(token).to_owned());
    let registry = RegistryHost { token, ca_pem: Some(BASE64_STANDARD.decode(ca)?), ..RegistryHost::default() };
    let port = authority.port_u16().unwrap_or(443);
    let mut names = vec![authority.to_string()];
    // Of a server elsewhere, these lead to somebody else.
    if authority.host().trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
        names.extend([format!("localhost:{port}"), format!("127.0.0.1:{port}")]);
    }
    Ok(names.into_iter().map(|name| (name, registry.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_of_a_kubeconfig_is_known_by_the_names_that_lead_there_and_of_another_machine_by_its_own_alone() {
        let hosts = |server: &str| {
            let text = format!(
                "clusters: [{{name: a, cluster: {{server: '{server}', certificate-authority-data: YQ==}}}}]\n\
                 users: [{{name: a, user: {{token: secret}}}}]\n\
                 contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\ncurrent-context: a\n"
            );
            let registries = own_registry(&Kubeconfig::from_yaml(&text).unwrap()).unwrap();
            assert!(registries.iter().all(|(_, registry)| registry.token.is_some() && registry.ca_pem.is_some()));
            registries.into_iter().map(|(host, _)| host).collect::<Vec<_>>()
        };
        assert_eq!(hosts("https://127.0.0.1:7443"), ["127.0.0.1:7443", "localhost:7443", "127.0.0.1:7443"]);
        assert_eq!(hosts("https://10.0.0.1:7443"), ["10.0.0.1:7443"]);
    }
}
