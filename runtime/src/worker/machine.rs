//! What this process may use of the machine: its processors and memory, and what its control groups leave of them.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use rustix::thread::sched_getaffinity;

/// What the machine has, where Linux does not tell it.
const UNKNOWN_MEMORY_BYTES: u64 = 4 << 30;

/// Of the machine's memory, less than a twentieth is available: it is short of it.
const SHORT_BELOW_A: u64 = 20;
/// So much of the last ten seconds, in percent, something in the control group waited for memory: it is short of it.
const SHORT_FROM_PRESSURE: f64 = 5.0;

/// Processors and memory for this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) cpu_millis: u64,
    pub(super) memory_bytes: u64,
}

impl Machine {
    /// This machine, within the control groups of this process.
    pub(super) fn read() -> Self {
        let limits = Limits::under(Path::new("/"));
        let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kibibytes(&text, "MemTotal"));
        let total = total.unwrap_or(UNKNOWN_MEMORY_BYTES);
        Self {
            cpu_millis: cpu_millis(limits.cpu_millis),
            memory_bytes: limits.memory_bytes.map_or(total, |limit| limit.min(total)),
        }
    }
}

/// Whether this machine or this process's control group is short of memory, so that what is only kept warm should go.
pub(super) fn is_short_of_memory() -> bool {
    is_short_under(Path::new("/"))
}

fn is_short_under(root: &Path) -> bool {
    let meminfo = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let machine = match (kibibytes(&meminfo, "MemTotal"), kibibytes(&meminfo, "MemAvailable")) {
        (Some(total), Some(available)) => available < total / SHORT_BELOW_A,
        _ => false,
    };
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let own = group(&groups, "").map(|group| unified(root, group));
    let pressure = own.and_then(|levels| fs::read_to_string(levels.first()?.join("memory.pressure")).ok());
    machine || pressure.as_deref().and_then(some_pressure).is_some_and(|percent| percent >= SHORT_FROM_PRESSURE)
}

/// `some avg10=0.12 avg60=...`, in percent.
fn some_pressure(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some avg10="))?;
    line.split(' ').next()?.parse().ok()
}

/// The standard library rounds a quota down to whole processors; it alone knows the quotas of the first version.
fn cpu_millis(quota_millis: Option<u64>) -> u64 {
    let usable = thread::available_parallelism().map_or(1, |cores| cores.get() as u64 * 1000);
    let Some(quota) = quota_millis else { return usable };
    sched_getaffinity(None).map_or(usable, |cores| quota.min(u64::from(cores.count()) * 1000))
}

/// What control groups allow. `None`: they do not limit it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Limits {
    cpu_millis: Option<u64>,
    memory_bytes: Option<u64>,
}

impl Limits {
    /// The tightest limits from this process's group up to the root. `root` is where `proc` and `sys` are.
    fn under(root: &Path) -> Self {
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let mounts = root.join("sys/fs/cgroup");
        let unified = group(&groups, "").map(|group| unified(root, group)).unwrap_or_default();
        let first = group(&groups, "memory").map(|group| levels(&mounts.join("memory"), group)).unwrap_or_default();
        let memory = tightest(&unified, "memory.max", bytes);
        Self {
            cpu_millis: tightest(&unified, "cpu.max", quota_millis),
            memory_bytes: memory.or_else(|| tightest(&first, "memory.limit_in_bytes", bytes)),
        }
    }
}

fn tightest(levels: &[PathBuf], file: &str, parse: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    levels.iter().filter_map(|dir| parse(&fs::read_to_string(dir.join(file)).ok()?)).min()
}

/// The group of a controller in `/proc/self/cgroup`. The second version has one group, of no controller.
fn group<'a>(groups: &'a str, controller: &str) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(group)
    })
}

/// The directories of a group of the second version, and of all above it.
fn unified(root: &Path, group: &str) -> Vec<PathBuf> {
    let mounts = root.join("sys/fs/cgroup");
    // Where both versions are mounted, the second is in a directory of its own.
    let hybrid = mounts.join("unified");
    levels(if hybrid.exists() { &hybrid } else { &mounts }, group)
}

/// The directories of a group and of all above it. In a container some of them are out of sight.
fn levels(mount: &Path, group: &str) -> Vec<PathBuf> {
    let inside = Path::new(group.trim_start_matches('/'));
    inside.ancestors().map(|level| mount.join(level)).collect()
}

/// A line of `/proc/meminfo`, in bytes.
fn kibibytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// `max` is no limit. The first version writes a number beyond any machine's memory instead.
fn bytes(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// `QUOTA PERIOD`, both in microseconds, in thousandths of a processor.
fn quota_millis(text: &str) -> Option<u64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    quota.checked_mul(1000)?.checked_div(period).map(|millis| millis.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn limits(named: &[(&str, &str)]) -> Limits {
        Limits::under(files(named).path())
    }

    #[test]
    fn memory_is_told_in_kibibytes() {
        assert_eq!(kibibytes("MemFree: 1 kB\nMemTotal:       16 kB\n", "MemTotal"), Some(16 << 10));
        assert_eq!(kibibytes("MemTotal: much", "MemTotal"), None);
    }

    #[test]
    fn memory_is_short_where_little_is_available_or_the_group_waits_for_it() {
        let short = |available: &str, waited: &str| {
            let root = files(&[
                ("proc/meminfo", &format!("MemTotal: 1000 kB\nMemAvailable: {available} kB\n")),
                ("proc/self/cgroup", "0::/worker\n"),
                ("sys/fs/cgroup/worker/memory.pressure", &format!("some avg10={waited} avg60=0.00 total=1\n")),
            ]);
            is_short_under(root.path())
        };
        assert!(!short("500", "0.10"));
        assert!(short("40", "0.00"));
        assert!(short("500", "7.25"));
        assert!(!is_short_under(files(&[]).path()), "where nothing is told, nothing is short");
    }

    #[test]
    fn a_quota_is_told_in_thousandths_of_a_processor() {
        assert_eq!(quota_millis("150000 100000\n"), Some(1500));
        assert_eq!(quota_millis("1 1000000\n"), Some(1));
        assert_eq!(quota_millis("max 100000\n"), None);
        assert_eq!(quota_millis("1000 0\n"), None);
    }

    #[test]
    fn the_tightest_limit_on_the_way_to_the_root_counts() {
        let limits = limits(&[
            ("proc/self/cgroup", "0::/pods/one/worker\n"),
            ("sys/fs/cgroup/pods/one/worker/memory.max", "max\n"),
            ("sys/fs/cgroup/pods/one/memory.max", "1000\n"),
            ("sys/fs/cgroup/pods/memory.max", "5000\n"),
            ("sys/fs/cgroup/pods/one/worker/cpu.max", "300000 100000\n"),
            ("sys/fs/cgroup/cpu.max", "50000 100000\n"),
            ("sys/fs/cgroup/elsewhere/memory.max", "1\n"),
        ]);
        assert_eq!(limits, Limits { cpu_millis: Some(500), memory_bytes: Some(1000) });
    }

    #[test]
    fn the_first_version_of_control_groups_limits_memory_where_the_second_does_not() {
        let limits = limits(&[
            ("proc/self/cgroup", "4:cpuacct,memory:/out/of/sight\n1:cpu:/\n0::/\n"),
            ("sys/fs/cgroup/unified/cgroup.procs", ""),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n"),
        ]);
        assert_eq!(limits, Limits { cpu_millis: None, memory_bytes: Some(2000) });
    }

    #[test]
    fn without_control_groups_nothing_is_limited() {
        assert_eq!(limits(&[]), Limits::default());
    }

    #[test]
    fn this_machine_has_something_to_offer() {
        let machine = Machine::read();
        assert!(machine.cpu_millis > 0 && machine.memory_bytes > 0, "{machine:?}");
    }
}
