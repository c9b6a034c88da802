use std::{
    fs,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::{Network, Sandbox, SandboxGap};

/// The newest rules that are asked for. An older kernel keeps those that it knows.
const RULES: ABI = ABI::V6;

/// What the standard library and the allocator read.
const ALWAYS_READ: &[&str] = &[
    "/dev/null",
    "/dev/urandom",
    "/proc/meminfo",
    "/proc/self",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
];

/// What who makes connections reads: the resolver, and TLS.
const NETWORK_READ: &[&str] = &[
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/ssl/certs",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
];

/// Where the resolver learns its servers. Services that manage it replace the file that it leads to.
const RESOLVER: &str = "/etc/resolv.conf";

/// Closes all files but those of the sandbox, signals and abstract sockets of other processes, and without a network of its
/// own the way of a socket to another address than the one that it is connected to.
pub(super) fn close(sandbox: &Sandbox) -> Result<(), SandboxGap> {
    for path in sandbox.read.iter().chain(&sandbox.read_write).filter(|path| !path.exists()) {
        tracing::warn!(path = %path.display(), "does not exist, and so stays closed to this process");
    }
    let network: Vec<PathBuf> = match sandbox.network {
        Network::Own | Network::Outgoing => {
            NETWORK_READ.iter().map(PathBuf::from).chain(resolver(Path::new(RESOLVER))).collect()
        }
        Network::Asked => Vec::new(),
    };
    let always = ALWAYS_READ.iter().map(PathBuf::from).chain(network);
    restrict(sandbox.network, |rules| {
        rules
            .add_rules(path_beneath_rules(always, reading()))?
            .add_rules(path_beneath_rules(["/dev/null"], reading() | AccessFs::WriteFile))?
            .add_rules(path_beneath_rules(&sandbox.read, reading()))?
            .add_rules(path_beneath_rules(&sandbox.read_write, changing()))
    })
}

/// Closes all files without exception, and all that [`close`] closes beside.
pub(super) fn close_all() -> Result<(), SandboxGap> {
    restrict(Network::Asked, Ok)
}

fn restrict(
    network: Network,
    open: impl FnOnce(RulesetCreated) -> Result<RulesetCreated, RulesetError>,
) -> Result<(), SandboxGap> {
    let rules =
        Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(AccessFs::from_all(RULES))?;
    let rules = match network {
        Network::Own => rules,
        Network::Outgoing => rules.handle_access(AccessNet::BindTcp)?,
        Network::Asked => rules.handle_access(AccessNet::from_all(RULES))?,
    };
    let status = open(rules.scope(Scope::from_all(RULES))?.create()?)?
        // New privileges have been ruled out before. Where that was refused, they may be all the same: by who started this.
        .no_new_privs(false)
        .restrict_self()?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced => Err(SandboxGap::OldLandlock),
        RulesetStatus::NotEnforced => Err(SandboxGap::NoLandlock),
    }
}

fn reading() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::ReadDir
}

/// No programs, no devices.
fn changing() -> BitFlags<AccessFs> {
    AccessFs::from_all(RULES) & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev)
}

/// The resolver's file, and the directory that it leads to, where that is not one for everything.
fn resolver(link: &Path) -> Vec<PathBuf> {
    let target = fs::canonicalize(link).ok().filter(|target| target != link);
    let dir =
        target.as_deref().and_then(Path::parent).filter(|dir| dir.components().count() > 2 && !dir.starts_with("/etc"));
    dir.map(Path::to_owned).into_iter().chain([link.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_directory_that_the_resolvers_file_leads_to_is_open_because_the_file_is_replaced_there() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(temporary.path()).unwrap();
        let managed = dir.join("managed");
        fs::create_dir_all(&managed).unwrap();
        fs::write(managed.join("stub.conf"), "").unwrap();
        let link = dir.join("resolv.conf");
        symlink(managed.join("stub.conf"), &link).unwrap();
        assert_eq!(resolver(&link), [managed, link.clone()]);
        fs::remove_file(&link).unwrap();
        fs::write(&link, "").unwrap();
        assert_eq!(resolver(&link), std::slice::from_ref(&link));
    }
}
