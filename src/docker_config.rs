//! Docker's configuration of this user, as far as credentials are written there.

use std::{
    env, fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// What Docker calls Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// `config.json`. What is in it besides credentials is left as it is.
pub(crate) struct DockerConfigFile {
    path: PathBuf,
    config: Value,
}

impl DockerConfigFile {
    /// The file in `$DOCKER_CONFIG`, or in `~/.docker`. It need not be there yet.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")));
        let path = folder.context("neither DOCKER_CONFIG nor HOME is set")?.join("config.json");
        let config = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => json!({}),
            text => serde_json::from_slice(&text.with_context(|| format!("{} cannot be read", path.display()))?)
                .with_context(|| format!("{} is not JSON: correct it or move it away", path.display()))?,
        };
        anyhow::ensure!(config.is_object(), "{} is not a Docker configuration", path.display());
        Ok(Self { path, config })
    }

    /// Keeps credentials, and says where.
    pub(crate) fn keep(mut self, host: &str, name: &str, password: &str) -> anyhow::Result<String> {
        if let Some(helper) = self.helper(host) {
            let entry = json!({ "ServerURL": key(host), "Username": name, "Secret": password });
            run_helper(&helper, "store", &entry.to_string())?;
            return Ok(format!("docker-credential-{helper}"));
        }
        self.config["auths"][key(host)] = json!({ "auth": BASE64_STANDARD.encode(format!("{name}:{password}")) });
        self.write()?;
        Ok(self.path.display().to_string())
    }

    /// Forgets credentials. Says whether there were any.
    pub(crate) fn forget(mut self, host: &str) -> anyhow::Result<bool> {
        if let Some(helper) = self.helper(host) {
            run_helper(&helper, "erase", key(host))?;
            return Ok(true);
        }
        let forgotten = self.config["auths"].as_object_mut().is_some_and(|auths| auths.remove(key(host)).is_some());
        if forgotten {
            self.write()?;
        }
        Ok(forgotten)
    }

    fn helper(&self, host: &str) -> Option<String> {
        let helper = self.config["credHelpers"][host].as_str().or(self.config["credsStore"].as_str())?;
        (!helper.is_empty()).then(|| helper.to_owned())
    }

    /// Replaces the file as a whole, readable by this user alone.
    fn write(&self) -> anyhow::Result<()> {
        private_files::write(&self.path, &serde_json::to_vec_pretty(&self.config)?)
            .with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

fn key(host: &str) -> &str {
    if matches!(host, "docker.io" | "index.docker.io") { DOCKER_HUB } else { host }
}

fn run_helper(helper: &str, verb: &str, input: &str) -> anyhow::Result<()> {
    let program = format!("docker-credential-{helper}");
    let mut child = Command::new(&program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("{program} cannot be started: Docker's configuration names it"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    anyhow::ensure!(child.wait()?.success(), "{program} {verb} failed");
    Ok(())
}
