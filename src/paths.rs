//! Where Sampan keeps what it keeps: the data directory and the paths within it.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The `--data-dir` flag, shared by every command.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DataDirArgs {
    /// Directory for all of Sampan's state [default: $XDG_DATA_HOME/sampan or ~/.local/share/sampan]
    #[arg(long, env = "SAMPAN_DATA_DIR", value_name = "DIR", help_heading = "Connection")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl DataDirArgs {
    /// The directory that was named, or the default.
    pub(crate) fn resolve(&self) -> anyhow::Result<DataDir> {
        let root = match &self.data_dir {
            Some(path) => std::path::absolute(path).with_context(|| format!("`{}` is no path", path.display()))?,
            None => default_root(|name| env::var_os(name).map(PathBuf::from))
                .context("neither HOME nor XDG_DATA_HOME is set: name a directory with --data-dir")?,
        };
        Ok(DataDir { root })
    }
}

fn default_root(var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    // The XDG specification asks that relative paths be ignored.
    let absolute = |name| var(name).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|d| d.join("sampan"))
}

/// A data directory. Nothing is created by naming it.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The local OCI image layout.
    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Compiled components.
    pub(crate) fn compile_cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Sockets of this machine's processes.
    pub(crate) fn sockets(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Where the control plane takes sessions from this machine.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.sockets().join("control.sock")
    }

    /// The authority of the installation's processes.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }

    /// The certificate and the key of a process of this machine.
    pub(crate) fn identity(&self, role: &str, name: &str) -> PathBuf {
        self.root.join("identity").join(format!("{role}-{name}.pem"))
    }

    /// How clients reach this installation.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_follows_xdg_and_falls_back_to_home() {
        let both = |name: &str| Some(PathBuf::from(if name == "HOME" { "/home/a" } else { "/data" }));
        assert_eq!(default_root(both), Some("/data/sampan".into()));
        let home = |name: &str| (name == "HOME").then(|| PathBuf::from("/home/a"));
        assert_eq!(default_root(home), Some("/home/a/.local/share/sampan".into()));
        assert_eq!(default_root(|_| None), None);
    }

    #[test]
    fn a_relative_xdg_directory_is_ignored() {
        let relative = |name: &str| Some(PathBuf::from(if name == "HOME" { "/home/a" } else { "data" }));
        assert_eq!(default_root(relative), Some("/home/a/.local/share/sampan".into()));
    }
}
