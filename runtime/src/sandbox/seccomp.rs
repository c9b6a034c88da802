use std::collections::BTreeMap;

use libc::{
    AF_INET, AF_INET6, AF_UNIX, CLONE_THREAD, CLONE_VM, FIOCLEX, FIONBIO, FIONREAD, MSG_FASTOPEN, PR_SET_NAME,
    PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG, PR_SET_VMA, PRIO_PROCESS, SOCK_DGRAM, SOCK_STREAM, TCGETS, TIOCGWINSZ,
};
use libc::{
    F_ADD_SEALS, F_DUPFD, F_DUPFD_CLOEXEC, F_GET_SEALS, F_GETFD, F_GETFL, F_GETLK, F_OFD_GETLK, F_OFD_SETLK,
    F_OFD_SETLKW, F_SETFD, F_SETFL, F_SETLK, F_SETLKW,
};
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads,
};

use super::{
    Network,
    system_calls::{ALWAYS, CHANGING, IMAGES, PASSING, READING, SOCKETS, older},
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// What a socket's type says besides its type: flags for its descriptor.
const SOCKET_TYPE: u64 = 0xf;
/// What a process without a network does not do with sockets: it is given those that it has.
const SOCKETS_OF_ITS_OWN: &[i64] = &[libc::SYS_bind, libc::SYS_connect, libc::SYS_listen];
/// What a process does with sockets that takes connections. Resolvers bind theirs.
const TAKING: &[i64] = &[libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4];
/// The signal that tells of a process' end, in the flags of `clone`.
const SIGNAL: i32 = 0xff;
/// Every new namespace that `clone` can make.
const NEW_NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// It runs guests.
    Work {
        network: Network,
        /// Whether any of the files that are open to it may be changed.
        changes_files: bool,
    },
    /// It copies itself for each compile, and ends such copies.
    StartCompiles,
    /// It reads from a descriptor that it has, and writes to another.
    Compile,
}

/// Leaves this process the system calls that it makes. All others fail; none kills, so that one that was missed is an error that
/// can be read.
pub(super) fn limit(does: Does) -> Result<(), Error> {
    // What clone3 makes is in memory that no filter sees. The C library then takes clone instead. This filter goes
    // first, because the other closes the call that installs them.
    let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
    apply_filter_all_threads(&program([(libc::SYS_clone3, Vec::new())].into(), SeccompAction::Allow, unknown)?)?;
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    apply_filter_all_threads(&program(allowed(does)?, denied, SeccompAction::Allow)?)
}

fn program(rules: Rules, others: SeccompAction, these: SeccompAction) -> Result<BpfProgram, Error> {
    let arch = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, others, these, arch)?.try_into()?)
}

fn allowed(does: Does) -> Result<Rules, BackendError> {
    let this = u64::from(rustix::process::getpid().as_raw_nonzero().get().unsigned_abs());
    let unlimited: &[&[i64]] = match does {
        Does::Work { changes_files: true, .. } => {
            &[PASSING, SOCKETS, IMAGES, READING, older::READING, CHANGING, older::CHANGING]
        }
        Does::Work { changes_files: false, .. } => &[PASSING, SOCKETS, IMAGES, READING, older::READING],
        Does::StartCompiles => &[PASSING],
        Does::Compile => &[],
    };
    let calls = [ALWAYS, older::ALWAYS].into_iter().chain(unlimited.iter().copied()).flatten();
    let mut rules: Rules = calls.map(|&call| (call, Vec::new())).collect();
    // The other filter answers it.
    rules.insert(libc::SYS_clone3, Vec::new());
    rules.insert(libc::SYS_clone, vec![rule([threads_alone()?])?]);
    match does {
        Does::Work { network: Network::Own, .. } => {
            rules.insert(libc::SYS_socket, sockets(&[AF_UNIX, AF_INET, AF_INET6], &[SOCK_STREAM, SOCK_DGRAM])?);
            rules.insert(libc::SYS_socketpair, sockets(&[AF_UNIX], &[SOCK_STREAM, SOCK_DGRAM])?);
        }
        Does::Work { network: Network::Outgoing, .. } => {
            TAKING.iter().for_each(|call| drop(rules.remove(call)));
            // Not AF_UNIX: Landlock does not see who connects to a socket of this machine by its path.
            rules.insert(libc::SYS_socket, sockets(&[AF_INET, AF_INET6], &[SOCK_STREAM, SOCK_DGRAM])?);
            rules.insert(libc::SYS_socketpair, sockets(&[AF_UNIX], &[SOCK_STREAM])?);
        }
        // It is given all of its sockets. Landlock does not see who connects to a socket of this machine by its path; no
        // datagram's address may name one either.
        Does::Work { network: Network::Asked, .. } => {
            SOCKETS_OF_ITS_OWN.iter().for_each(|call| drop(rules.remove(call)));
            rules.insert(libc::SYS_socketpair, sockets(&[AF_UNIX], &[SOCK_STREAM])?);
        }
        Does::StartCompiles => {
            rules.insert(libc::SYS_socketpair, sockets(&[AF_UNIX], &[SOCK_STREAM])?);
            rules.insert(libc::SYS_clone, vec![rule([threads_alone()?])?, rule([copies_alone()?])?]);
            rules.insert(libc::SYS_kill, any_of(1, [libc::SIGKILL as u64])?);
            // The copies limit themselves further. Nothing is gained by it that was lost.
            rules.insert(libc::SYS_seccomp, Vec::new());
        }
        Does::Compile => {}
    }
    // A socket that is sent from in this way connects first, and Landlock does not see it.
    if does != Does::Compile {
        for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
            rules.insert(call, vec![rule([without(flags, MSG_FASTOPEN as u64)?])?]);
        }
    }
    let ioctls = [FIONBIO, FIOCLEX, FIONREAD, TCGETS, TIOCGWINSZ];
    rules.insert(libc::SYS_ioctl, any_of(1, ioctls)?);
    // Not F_SETOWN and F_SETSIG, by which the kernel sends signals to others.
    let descriptors = [F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_ADD_SEALS, F_GET_SEALS];
    let locks = [F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW];
    rules.insert(libc::SYS_fcntl, any_of(1, descriptors.into_iter().chain(locks).map(|command| command as u64))?);
    let named = [PR_SET_NAME, PR_SET_VMA].into_iter();
    let limited = [PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG].into_iter().filter(|_| does == Does::StartCompiles);
    rules.insert(libc::SYS_prctl, any_of(0, named.chain(limited).map(|option| option as u64))?);
    // Of this process and thread alone.
    rules.insert(libc::SYS_prlimit64, any_of(0, [0, this])?);
    rules.insert(libc::SYS_sched_setattr, any_of(0, [0])?);
    rules.insert(libc::SYS_setpriority, vec![rule([is(0, u64::from(PRIO_PROCESS))?, is(1, 0)?])?]);
    let aborts = match does {
        // Of a copy, whose number is not known yet: it ends itself.
        Does::StartCompiles => any_of(2, [libc::SIGABRT as u64])?,
        Does::Work { .. } | Does::Compile => any_of(0, [this])?,
    };
    rules.insert(libc::SYS_tgkill, aborts);
    Ok(rules)
}

/// `clone` makes threads of this process, not processes, and nothing in namespaces of its own.
fn threads_alone() -> Result<SeccompCondition, BackendError> {
    let thread = (CLONE_THREAD | CLONE_VM) as u64;
    SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(thread | NEW_NAMESPACES as u64), thread)
}

/// As `fork` makes it: a process with nothing in common, in the same namespaces, whose end is told.
fn copies_alone() -> Result<SeccompCondition, BackendError> {
    let nothing_new = (CLONE_THREAD | CLONE_VM | NEW_NAMESPACES | SIGNAL) as u64;
    let told = libc::SIGCHLD as u64;
    SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(nothing_new), told)
}

fn sockets(families: &[i32], types: &[i32]) -> Result<Vec<SeccompRule>, BackendError> {
    let kinds = families.iter().flat_map(|family| types.iter().map(|kind| (*family, *kind)));
    let socket = |(family, kind): (i32, i32)| {
        let kind = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(SOCKET_TYPE), kind as u64)?;
        rule([is(0, family as u64)?, kind])
    };
    kinds.map(socket).collect()
}

fn any_of(argument: u8, values: impl IntoIterator<Item = u64>) -> Result<Vec<SeccompRule>, BackendError> {
    values.into_iter().map(|value| rule([is(argument, value)?])).collect()
}

fn is(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn without(argument: u8, flag: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flag), 0)
}

fn rule<const N: usize>(conditions: [SeccompCondition; N]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Does = Does::Work { network: Network::Own, changes_files: true };
    const OUTGOING: Does = Does::Work { network: Network::Outgoing, changes_files: false };
    const ASKED: Does = Does::Work { network: Network::Asked, changes_files: false };

    #[test]
    fn the_filters_compile_and_no_call_that_is_limited_by_its_arguments_is_in_the_lists_without_them() {
        for does in [OWN, OUTGOING, ASKED, Does::StartCompiles, Does::Compile] {
            let rules = allowed(does).unwrap();
            for call in
                [libc::SYS_clone, libc::SYS_socket, libc::SYS_fcntl, libc::SYS_ioctl, libc::SYS_prctl, libc::SYS_tgkill]
            {
                assert!(rules.get(&call).is_none_or(|rules| !rules.is_empty()), "{call} of {does:?}");
            }
            program(rules, SeccompAction::Errno(1), SeccompAction::Allow).unwrap();
        }
    }

    #[test]
    fn who_is_given_its_sockets_makes_connects_and_binds_none_and_changes_no_file_of_which_it_may_change_none() {
        let rules = allowed(ASKED).unwrap();
        for call in [libc::SYS_socket, libc::SYS_connect, libc::SYS_bind, libc::SYS_listen, libc::SYS_fchmod] {
            assert!(!rules.contains_key(&call), "{call}");
        }
    }

    #[test]
    fn who_connects_alone_takes_no_connection_and_changes_no_file() {
        let rules = allowed(OUTGOING).unwrap();
        assert!(rules.contains_key(&libc::SYS_connect));
        for call in [libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4, libc::SYS_unlinkat, libc::SYS_renameat2] {
            assert!(!rules.contains_key(&call), "{call}");
        }
    }

    #[test]
    fn what_compiles_opens_no_file_and_speaks_to_nobody() {
        for (does, more) in [(Does::StartCompiles, &[][..]), (Does::Compile, &[libc::SYS_sendmsg, libc::SYS_kill])] {
            let rules = allowed(does).unwrap();
            let closed = [libc::SYS_openat, libc::SYS_socket, libc::SYS_connect, libc::SYS_statx, libc::SYS_execve];
            for call in closed.iter().chain(more) {
                assert!(!rules.contains_key(call), "{call} of {does:?}");
            }
        }
    }

    #[test]
    fn what_starts_programs_or_reaches_into_other_processes_is_not_in_the_list() {
        let rules = allowed(OWN).unwrap();
        for call in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_getfd,
            libc::SYS_kill,
            libc::SYS_mount,
            libc::SYS_move_mount,
            libc::SYS_open_tree,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_bpf,
            libc::SYS_kexec_load,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_perf_event_open,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_open_by_handle_at,
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_userfaultfd,
            libc::SYS_io_uring_setup,
            libc::SYS_seccomp,
            libc::SYS_setuid,
        ] {
            assert!(!rules.contains_key(&call), "{call}");
        }
    }
}
