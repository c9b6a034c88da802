use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::OpenError;

/// The file whose lock stands for the data directory.
const LOCK_FILE: &str = "lock";

/// Characters that are shown of a command.
const MAX_SHOWN: usize = 120;

/// Holds a data directory for this process. The system frees it with the process, however that ends.
#[derive(Debug)]
pub struct DataDirLock {
    _held: File,
}

impl DataDirLock {
    /// Makes the directory if it is missing, and takes it.
    pub fn acquire(dir: &Path) -> Result<Self, OpenError> {
        let unusable = |path: PathBuf| move |why: std::io::Error| OpenError::Unusable { path, why: why.to_string() };
        // There are keys and users' data in it: it is for this user alone.
        private_files::create_dir(dir).map_err(unusable(dir.to_owned()))?;
        let path = dir.join(LOCK_FILE);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(unusable(path.clone()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = holder(&mut file);
                return Err(OpenError::Locked { dir: dir.to_owned(), pid, doing: pid.and_then(doing) });
            }
            Err(TryLockError::Error(why)) => return Err(unusable(path)(why)),
        }
        // The number only serves the message above; a full disk must not keep anybody from starting.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _held: file })
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// "`sampan dev` in /home/ann/shop": what a process of this user does. At most [`MAX_SHOWN`] characters of its command.
fn doing(pid: u32) -> Option<String> {
    let mut command = String::new();
    File::open(format!("/proc/{pid}/cmdline")).ok()?.take(4096).read_to_string(&mut command).ok()?;
    let (program, arguments) = command.split_once('\0')?;
    let program = Path::new(program).file_name()?.to_str()?;
    let shown = format!("{program} {}", arguments.replace('\0', " "));
    let shown: String = shown.chars().filter(|character| !character.is_control()).take(MAX_SHOWN).collect();
    let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    Some(format!("`{}` in {}", shown.trim_end(), folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_with_the_directory_and_the_first_ones_process() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDirLock::acquire(dir.path()).unwrap();
        let refused = DataDirLock::acquire(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&dir.path().display().to_string()), "{refused}");
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        let folder = std::env::current_dir().unwrap();
        assert!(refused.contains(&format!("` in {}): stop it", folder.display())), "{refused}");
        drop(held);
        DataDirLock::acquire(dir.path()).unwrap();
    }
}
