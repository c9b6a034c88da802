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
    Group { dir: PathBuf, version: Version, limit: u64 },
    /// This process alone.
    Process { limit: u64 },
}

/// Which cgroups a limit was found in. Both may be there, with the controller of memory in one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The file that has a limit, the one that has what is used, and in `memory.stat` what the kernel may drop, with all groups below.
    fn files(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::One => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
            Self::Two => ("memory.max", "memory.current", "inactive_file "),
        }
    }
}

/// The first version writes no limit as the largest number of whole pages.
const NO_LIMIT: u64 = 1 << 62;

/// Looks at memory, until it is told to stop. Without a limit, of the configuration or of a cgroup, there is nothing to look at.
pub(crate) async fn watch(shared: Arc<Shared>, stop: CancellationToken) {
    let root = &shared.config.system_root;
    let Some(source) = source(&root.join("proc/self/cgroup"), &root.join("sys/fs/cgroup"), shared.config.memory_limit)
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

/// The cgroup above this process that has the smallest limit, or the process if the configuration has one.
fn source(own: &Path, root: &Path, limit: Option<u64>) -> Option<Source> {
    let groups = fs::read_to_string(own).unwrap_or_default();
    let limited = groups.lines().filter_map(|line| group(line, root)).flat_map(|(mount, path, version)| {
        // In a container some of the groups above are out of sight, and the mount itself is the container's.
        let inside = Path::new(path.trim_start_matches('/')).to_owned();
        let dirs: Vec<_> = inside.ancestors().map(|level| mount.join(level)).collect();
        let limit_of = move |dir: PathBuf| {
            let limit = number(&dir.join(version.files().0)).filter(|limit| *limit < NO_LIMIT)?;
            Some((dir, version, limit))
        };
        dirs.into_iter().filter_map(limit_of)
    });
    let limited = limited.min_by_key(|(_, _, limit)| *limit);
    match (limited, limit) {
        (Some((dir, version, of_group)), limit) => {
            Some(Source::Group { dir, version, limit: limit.map_or(of_group, |limit| limit.min(of_group)) })
        }
        (None, Some(limit)) => Some(Source::Process { limit }),
        (None, None) => None,
    }
}

/// Of a line of `/proc/self/cgroup`, where the controller of memory may be mounted, and the group in it: `0::/PATH` of the second
/// version, `NUMBER:CONTROLLERS:/PATH` of the first.
fn group<'a>(line: &'a str, root: &Path) -> Option<(PathBuf, &'a str, Version)> {
    let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
    match controllers {
        "" => Some((root.to_owned(), path, Version::Two)),
        _ if controllers.split(',').any(|controller| controller == "memory") => {
            Some((root.join(controllers), path, Version::One))
        }
        _ => None,
    }
}

impl Source {
    /// Bytes that are used, and that may be.
    fn read(&self) -> Option<(u64, u64)> {
        match self {
            Self::Group { dir, version, limit } => {
                let (_, usage, cached) = version.files();
                let current = number(&dir.join(usage))?;
                let stat = fs::read_to_string(dir.join("memory.stat")).ok()?;
                // Pages of files that the kernel drops when it needs them.
                let cached = field(&stat, cached).unwrap_or(0);
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

    #[test]
    fn groups_of_the_first_version_are_read_too_by_the_names_of_their_files() {
        let dir = std::env::temp_dir().join(format!("sampan-memory-one-{}", std::process::id()));
        let (own, root) = (dir.join("own"), dir.join("root"));
        let group = |path: &str, limit: &str, usage: &str, cached: &str| {
            let dir = root.join("memory").join(path);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("memory.limit_in_bytes"), limit).unwrap();
            fs::write(dir.join("memory.usage_in_bytes"), usage).unwrap();
            let stat = format!("cache 9\ninactive_file 1\ntotal_cache 9\ntotal_inactive_file {cached}\n");
            fs::write(dir.join("memory.stat"), stat).unwrap();
        };
        group("", "9223372036854771712\n", "9000\n", "0");
        group("pods", "4000\n", "3000\n", "500");
        group("pods/one", "9223372036854771712\n", "100\n", "0");
        fs::write(&own, "9:cpu,cpuacct:/elsewhere\n4:memory:/pods/one\n1:name=systemd:/x\n0::/\n").unwrap();
        let read = |limit| source(&own, &root, limit).and_then(|source| source.read());
        assert_eq!(read(None), Some((2500, 4000)));
        assert_eq!(read(Some(3000)), Some((2500, 3000)));
        // In a container: the mount is its own group, by another name.
        group("", "2000\n", "1500\n", "100");
        fs::write(&own, "4:memory:/docker/0123\n").unwrap();
        assert_eq!(read(None), Some((1400, 2000)));
        // Nowhere a limit.
        group("", "9223372036854771712\n", "9000\n", "0");
        assert_eq!(read(None), None);
        fs::remove_dir_all(&dir).unwrap();
    }
}
