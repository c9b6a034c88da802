//! Where Sampan keeps what it keeps: the data directory and the paths within it.

use std::{
    borrow::Cow,
    env,
    path::{Path, PathBuf},
};

use anyhow::Context;
use private_files::Exposed;
use sha2::{Digest, Sha256};

use crate::{errors::HintExt, terminal::print_error};

/// Where each process has a directory of its own.
const PROCESSES: &str = "processes";
/// Names of processes up to this length are names of files as they are.
const MAX_FILE_NAME: usize = 64;
/// So much of a hash stands for the rest of a longer one.
const HASH_BYTES: usize = 12;

/// A path as a shell reads it, for commands that users are told.
pub(crate) fn in_shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Whether what is at a path, or is written there, is in one of these folders wherever links lead.
pub(crate) fn stays_within(path: &Path, folders: &[&Path]) -> bool {
    let Ok(there) = std::path::absolute(path) else { return false };
    // What is not there yet is made below the nearest folder that is. A link that leads to nothing would be followed too.
    let nearest = there.ancestors().find(|part| part.symlink_metadata().is_ok()).unwrap_or(&there);
    let is_inside =
        |real: PathBuf| folders.iter().filter_map(|at| at.canonicalize().ok()).any(|at| real.starts_with(at));
    nearest.canonicalize().is_ok_and(is_inside)
}

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

impl DataDirArgs {
    /// As [`Self::resolve`], for who writes there: the directory is made if it is missing, and it and all in it is for this user
    /// alone.
    pub(crate) fn claim(&self) -> anyhow::Result<DataDir> {
        let dir = self.resolve()?;
        let exposed = private_files::claim(dir.root())
            .context("the data directory cannot be used")
            .hint("or name another directory with --data-dir: keys, Secrets and guests' data are kept in it")?;
        if let Some(Exposed { path, mode, count }) = exposed {
            print_error(format_args!(
                "warning: other users of this machine could read or change {} (mode {:03o}{}) until now: if you do not trust all of \
                 them, take the tokens, keys and Secrets in {} for known, and replace them",
                path.display(),
                mode & 0o777,
                if count > 1 { format!(", and {} more", count - 1) } else { String::new() },
                dir.root().display()
            ));
        }
        Ok(dir)
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

    /// What a worker's process of this name is lent, which is all that it sees of this directory.
    pub(crate) fn of_process(&self, process: &str) -> Self {
        Self { root: self.root.join(PROCESSES).join(file_name(process).as_ref()) }
    }

    /// Sockets of this machine's processes.
    pub(crate) fn sockets(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Where the control plane takes sessions from this machine.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.sockets().join("control.sock")
    }

    /// Where the process of this name takes requests.
    pub(crate) fn request_socket(&self, process: &str) -> PathBuf {
        self.sockets().join(format!("{}.sock", file_name(process)))
    }

    /// The authority of the installation's processes.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }

    /// The certificate and the key of a process of this machine.
    pub(crate) fn identity(&self, role: &str, name: &str) -> PathBuf {
        self.root.join("identity").join(format!("{role}-{name}.pem"))
    }

    /// Where the gateway of this installation answers.
    pub(crate) fn gateway(&self) -> PathBuf {
        self.root.join("gateway")
    }

    /// How clients reach this installation.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }
}

/// The name for a file. Workers' and namespaces' names together may be longer than the address of a socket: of such a
/// name, the beginning stands, and a hash of all.
fn file_name(process: &str) -> Cow<'_, str> {
    if process.len() <= MAX_FILE_NAME {
        return process.into();
    }
    let hash: String = Sha256::digest(process)[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    let begins = process.char_indices().take_while(|(at, c)| at + c.len_utf8() < MAX_FILE_NAME - hash.len());
    let begins: String = begins.map(|(_, c)| c).collect();
    format!("{begins}-{hash}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_of_processes_have_short_files_each_its_own() {
        let dir = DataDir { root: "/data".into() };
        assert_eq!(dir.request_socket("m-1"), Path::new("/data/run/m-1.sock"));
        let [one, other] = ["a", "b"].map(|end| dir.request_socket(&format!("{}.{end}", "n".repeat(200))));
        assert_ne!(one, other);
        assert!(one.file_name().unwrap().len() < 80, "{}", one.display());
    }

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

    #[test]
    fn a_path_is_shown_as_a_shell_reads_it() {
        assert_eq!(in_shell(Path::new("a-b/c_d.e")), "a-b/c_d.e");
        assert_eq!(in_shell(Path::new("it's here")), "'it'\\''s here'");
    }
}
