//! File systems on which changes give no sign, since they are made on another machine, or on the host of this one.

use std::path::Path;

/// By the numbers that statfs(2) tells, without those that only this machine writes to.
const WITHOUT_SIGNS: [(&str, u64); 9] = [
    ("nfs", 0x6969),
    ("smb", 0x517b),
    ("smb2", 0xfe53_4d42),
    ("cifs", 0xff53_4d42),
    // Windows' drives under WSL.
    ("9p", 0x0102_1997),
    // sshfs, and virtiofs, by which containers on other systems see the user's folders.
    ("fuse", 0x6573_5546),
    ("vboxsf", 0x786f_4256),
    ("ceph", 0x00c3_6400),
    ("afs", 0x5346_414f),
];

/// What kind of such a file system a path is on, or the nearest folder above it that is there. `None`: on another one.
pub(super) fn without_signs(path: &Path) -> Option<&'static str> {
    let there = path.ancestors().find(|path| path.exists())?;
    // Numbers of 32 bits, some of which a system gives with a sign.
    let kind = rustix::fs::statfs(there).ok()?.f_type.cast_unsigned() & 0xffff_ffff;
    WITHOUT_SIGNS.iter().find(|(_, known)| *known == kind).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_this_machine_gives_signs() {
        assert_eq!(without_signs(Path::new("/proc/self/none/at/all")), None);
    }
}
