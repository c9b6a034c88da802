//! How much memory this process has, and how much of that is used, as the kernel tells.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(250);

/// Where memory is looked at.
#[derive(Debug)]
enum Source {
    /// A cgroup that has a limit: with all of its processes, workers among them.
    Group { dir: PathBuf, limit: u64 },
    /// This process alone.
    Process { limit: u64 },
}

/// Looks at memory, until it is told to stop. Without a limit, of the configuration or of a cgroup, there is nothing to look at.
pub(crate) async fn watch(shared: Arc<Shared>, stop: CancellationToken) {
    let Some(source) = source(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"), shared.config.memory_limit)
    else {
        return;
    };
    tracing::debug!(?source, "load is shed when memory gets short");
    let mut look = interval(EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(look.tick()).await.is_some() {
        // What cannot be read says nothing, and changes nothing.
        if let Some((used, limit)) = source.read() {
            shared.overload.measured(&shared.config.overload, used, limit);
        }
    }
}

/// The nearest cgroup above this process that has a limit, or the process if the configuration has one.
fn source(own: &Path, root: &Path, limit: Option<u64>) -> Option<Source> {
    let groups = fs::read_to_string(own).unwrap_or_default();
    // Version 2 has one line: `0::/PATH`.
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let limited = path.and_then(|path| {
        let dir = root.join(path);
        let dirs = dir.ancestors().take_while(|dir| dir.starts_with(root));
        dirs.filter_map(|dir| Some((dir.to_owned(), number(&dir.join("memory.max"))?))).min_by_key(|(_, limit)| *limit)
    });
    match (limited, limit) {
        (Some((dir, of_group)), limit) => {
            Some(Source::Group { dir, limit: limit.map_or(of_group, |limit| limit.min(of_group)) })
        }
        (None, Some(limit)) => Some(Source::Process { limit }),
        (None, None) => None,
    }
}

impl Source {
    /// Bytes that are used, and that may be.
    fn read(&self) -> Option<(u64, u64)> {
        match self {
            Self::Group { dir, limit } => {
                let current = number(&dir.join("memory.current"))?;
                let stat = fs::read_to_string(dir.join("memory.stat")).ok()?;
                // Pages of files that the kernel drops when it needs them.
                let cached = field(&stat, "inactive_file ").unwrap_or(0);
                Some((current.saturating_sub(cached), *limit))
            }
            Self::Process { limit } => {
                let status = fs::read_to_string("/proc/self/status").ok()?;
                let kib = field(&status, "VmRSS:")?;
                Some((kib << 10, *limit))
            }
        }
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(dir: &Path, max: &str, current: &str, inactive_file: &str) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("memory.max"), max).unwrap();
        fs::write(dir.join("memory.current"), current).unwrap();
        fs::write(dir.join("memory.stat"), format!("anon 1\ninactive_file {inactive_file}\nslab 2\n")).unwrap();
    }

    #[test]
    fn the_smallest_limit_of_the_cgroups_around_it_counts_and_what_the_kernel_may_drop_does_not() {
        let dir = std::env::temp_dir().join(format!("sampan-memory-{}", std::process::id()));
        let (own, root) = (dir.join("own"), dir.join("root"));
        group(&root.join("a"), "1000\n", "700\n", "100");
        group(&root.join("a/b"), "max\n", "50\n", "0");
        fs::write(&own, "1:name=x:/y\n0::/a/b\n").unwrap();
        let read = |limit| source(&own, &root, limit).and_then(|source| source.read());
        assert_eq!(read(None), Some((600, 1000)));
        assert_eq!(read(Some(800)), Some((600, 800)));
        assert_eq!(read(Some(2000)), Some((600, 1000)));
        fs::write(&own, "0::/elsewhere\n").unwrap();
        assert_eq!(read(None), None);
        let of_process = read(Some(1 << 40)).unwrap();
        assert!(of_process.0 > 1 << 20 && of_process.1 == 1 << 40, "{of_process:?}");
        fs::remove_dir_all(&dir).unwrap();
    }
}
