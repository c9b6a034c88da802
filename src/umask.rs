//! What files may be for others. Sampan's own hold keys, Secrets and guests' data, and are for one user alone; what a user asks to be
//! written, or a user's own tools write, is as wide as that user's umask says.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
    sync::OnceLock,
};

use rustix::fs::Mode;

/// The umask that this process was started with.
static OF_USER: OnceLock<Mode> = OnceLock::new();

/// From now on, what this process makes is for this user alone, unless it says otherwise. To be called before there are
/// other threads, since the umask is the whole process's.
pub(crate) fn make_private() {
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    OF_USER.get_or_init(|| before);
}

fn of_user() -> Mode {
    // Tests do not come through `main`, and have changed nothing.
    OF_USER.get().copied().unwrap_or(Mode::WGRP | Mode::WOTH)
}

/// Gives a program that works for the user, such as a compiler, the umask of the user.
#[expect(unsafe_code, reason = "the standard library has no other way to set the umask of a program that it starts")]
pub(crate) fn give_back(command: &mut Command) -> &mut Command {
    let umask = of_user();
    // SAFETY: between fork and exec only what is async-signal-safe may be called. `umask` is, and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            rustix::process::umask(umask);
            Ok(())
        })
    }
}

/// Makes a folder that the user asked for, with those above it that are not there.
pub(crate) fn create_folders_for_user(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    path.parent().map_or(Ok(()), create_folders_for_user)?;
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777 & !of_user().as_raw_mode()))
}

/// Writes a file that the user asked for, which must not be there yet.
pub(crate) fn write_new_for_user(path: &Path, contents: &[u8]) -> io::Result<()> {
    fs::File::create_new(path)?.write_all(contents)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666 & !of_user().as_raw_mode()))
}

/// Writes a file that the user asked for by name. One that is there keeps its mode.
pub(crate) fn write_for_user(path: &Path, contents: &[u8]) -> io::Result<()> {
    let is_new = !path.exists();
    fs::write(path, contents)?;
    if is_new {
        fs::set_permissions(path, fs::Permissions::from_mode(0o666 & !of_user().as_raw_mode()))?;
    }
    Ok(())
}
