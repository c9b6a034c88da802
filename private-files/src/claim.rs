use std::{
    env,
    fs::{self, File, Metadata, Permissions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::create_dir;

/// What a mode gives to others than the owner.
const OTHERS: u32 = 0o077;
/// Others may list a directory's names, or read a file.
const READ: u32 = 0o044;
/// Others may change it.
const WRITE: u32 = 0o022;
/// Others may reach what is in a directory.
const ENTER: u32 = 0o011;
/// In a directory with this bit everybody keeps files, as in `/tmp`.
const STICKY: u32 = 0o1000;
/// The superuser, who can read everything anyway.
const ROOT: u32 = 0;

/// A directory is not for this user alone, and is not this user's to make so. Each says what to run.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It, or something in it, is another user's.
    #[error(
        "{0} belongs to the user with the number {owner}, not to this one ({user}), and others could read or replace the \
         keys and Secrets in it: run `chown -R {user} {0} && chmod -R go= {0}` as root",
        path.display()
    )]
    Foreign {
        /// What it is about.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who wants it.
        user: u32,
    },
    /// Others keep files in it, so that it cannot be closed to them.
    #[error(
        "{} is shared with others: take a directory of its own, which `mkdir -m 700 {}` makes",
        path.display(), path.join("sampan").display()
    )]
    Shared {
        /// The directory.
        path: PathBuf,
    },
    /// It is a symbolic link that leads nowhere.
    #[error("{} is a symbolic link to {1}, which is not there: run `mkdir -m 700 {1}`", path.display(), target.display())]
    Dangling {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// The system did not let it be made, read or changed, or the file system keeps no modes.
    #[error("{0} cannot be made private to this user ({source}): run `chmod -R go= {0}`, or take another directory", path.display())]
    Unchangeable {
        /// What it is about.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What others could read or change in a directory before it was made private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// One of them.
    pub path: PathBuf,
    /// Its mode until now.
    pub mode: u32,
    /// How many there were.
    pub count: usize,
}

/// Makes `dir` and all in it private to this user: made if missing, tightened where it is wider. Symbolic links in it are
/// not followed. `dir` itself may be one, of this user's or root's making. Answers what others could get at until now: a
/// directory that they could enter, or an inner one, counts only if they could put something else into it.
///
/// # Errors
///
/// Where that is not this user's to do: the error says what is to be run.
pub fn claim(dir: &Path) -> Result<Option<Exposed>, Refused> {
    let dir = &real(dir)?;
    create_dir(dir).map_err(failed(dir))?;
    let open = File::options().read(true).custom_flags(NO_SYMBOLIC_LINK).open(dir).map_err(failed(dir))?;
    let metadata = open.metadata().map_err(failed(dir))?;
    let (user, mode) = (user(), metadata.mode());
    // Nobody else may own it, even where nothing in it is open to others: the owner could open it again. Of what all use,
    // that it is shared tells more.
    let is_shared = mode & STICKY != 0 || dir.parent().is_none();
    if is_shared && mode & OTHERS != 0 {
        return Err(Refused::Shared { path: dir.clone() });
    }
    if metadata.uid() != user {
        return Err(Refused::Foreign { path: dir.clone(), owner: metadata.uid(), user });
    }
    let is_home = env::var_os("HOME").is_some_and(|home| fs::canonicalize(home).is_ok_and(|home| home == *dir));
    if is_home && mode & OTHERS != 0 {
        return Err(Refused::Shared { path: dir.clone() });
    }
    if mode & OTHERS != 0 {
        open.set_permissions(private(mode)).map_err(failed(dir))?;
    }
    // From here on nobody else reaches what is in it. A home directory's other files are not Sampan's.
    if is_home {
        return Ok(None);
    }
    let was_open = mode & ENTER != 0;
    let mut exposed = None;
    // Nothing was put into one that is empty.
    if was_open && mode & WRITE != 0 && fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        note(&mut exposed, dir, mode);
    }
    tighten(dir, user, was_open.then_some(&mut exposed))?;
    Ok(exposed)
}

fn note(exposed: &mut Option<Exposed>, path: &Path, mode: u32) {
    let mode = mode & 0o7777;
    let first = || Exposed { path: path.to_owned(), mode, count: 0 };
    exposed.get_or_insert_with(first).count += 1;
}

const NO_SYMBOLIC_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::DIRECTORY).bits() as i32;

/// Where `dir` is, if it is a symbolic link.
fn real(dir: &Path) -> Result<PathBuf, Refused> {
    match fs::symlink_metadata(dir) {
        Ok(metadata) if metadata.is_symlink() => {
            is_trusted(dir, &metadata)?;
            fs::canonicalize(dir).map_err(|error| match (error.kind(), fs::read_link(dir)) {
                (io::ErrorKind::NotFound, Ok(target)) => Refused::Dangling { path: dir.to_owned(), target },
                _ => failed(dir)(error),
            })
        }
        _ => Ok(dir.to_owned()),
    }
}

/// Takes from others what they may do in a directory. What goes away meanwhile was another process's.
/// `exposed` notes what they could do, where they could do anything.
fn tighten(dir: &Path, user: u32, mut exposed: Option<&mut Option<Exposed>>) -> Result<(), Refused> {
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // Of another user, and closed: there is nothing in it that is Sampan's, and nothing open.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
            entries => entries.map_err(failed(&dir))?,
        };
        for entry in entries {
            let path = entry.map_err(failed(&dir))?.path();
            let metadata = match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata.map_err(failed(&path))?,
            };
            if metadata.is_symlink() {
                is_trusted(&path, &metadata)?;
                continue;
            }
            if metadata.mode() & OTHERS != 0 || metadata.uid() != user {
                tighten_one(&path, &metadata, user)?;
                let matters = if metadata.is_dir() { WRITE } else { READ | WRITE };
                if let Some(exposed) = exposed.as_deref_mut().filter(|_| metadata.mode() & matters != 0) {
                    note(exposed, &path, metadata.mode());
                }
            }
            if metadata.is_dir() {
                left.push(path);
            }
        }
    }
    Ok(())
}

fn tighten_one(path: &Path, metadata: &Metadata, user: u32) -> Result<(), Refused> {
    let mode = metadata.mode();
    if metadata.uid() != user {
        // What root keeps for itself, such as `lost+found`, is open to nobody.
        let is_closed = metadata.uid() == ROOT && mode & OTHERS == 0;
        let foreign = || Refused::Foreign { path: path.to_owned(), owner: metadata.uid(), user };
        return if is_closed { Ok(()) } else { Err(foreign()) };
    }
    match fs::set_permissions(path, private(mode)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        changed => changed.map_err(failed(path)),
    }
}

/// A link of a third user could lead anywhere, and elsewhere each time.
fn is_trusted(path: &Path, metadata: &Metadata) -> Result<(), Refused> {
    match metadata.uid() {
        owner if owner == user() || owner == ROOT => Ok(()),
        owner => Err(Refused::Foreign { path: path.to_owned(), owner, user: user() }),
    }
}

fn private(mode: u32) -> Permissions {
    Permissions::from_mode(mode & 0o7777 & !OTHERS)
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Refused {
    move |source| Refused::Unchangeable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    const SOMEBODY: u32 = 65534;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// Only root can give files away; who runs the tests may not be root.
    fn give_away(path: &Path) -> bool {
        rustix::process::geteuid().is_root() && chown(path, Some(SOMEBODY), None).is_ok()
    }

    #[test]
    fn a_wide_directory_is_tightened_with_all_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        fs::create_dir_all(dir.join("images/blobs")).unwrap();
        fs::write(dir.join("images/blobs/one"), "").unwrap();
        fs::write(dir.join("program"), "").unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, "").unwrap();
        symlink(&outside, dir.join("link")).unwrap();
        set(&outside, 0o644);
        set(&dir.join("images/blobs/one"), 0o666);
        set(&dir.join("program"), 0o755);
        set(&dir.join("images/blobs"), 0o777);
        set(&dir.join("images"), 0o2775);
        set(&dir, 0o755);
        let exposed = claim(&dir).unwrap().expect("others could read it");
        assert_eq!(exposed.count, 4, "two files, a directory that all may change, one that the group may: {exposed:?}");
        assert_eq!(claim(&dir).unwrap(), None, "it is private now");
        let modes = ["", "images", "images/blobs", "images/blobs/one", "program"].map(|name| mode(&dir.join(name)));
        assert_eq!(modes, [0o700, 0o2700, 0o700, 0o600, 0o700].map(|mode: u32| mode));
        assert_eq!(mode(&outside), 0o644, "what a link leads to is not Sampan's");
    }

    #[test]
    fn a_missing_directory_is_made_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("share/sampan");
        assert_eq!(claim(&dir).unwrap(), None);
        assert_eq!([mode(&dir), mode(&folder.path().join("share"))], [0o700, 0o700]);
    }

    #[test]
    fn what_others_could_get_at_is_told_and_what_they_could_not_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        fs::create_dir(&dir).unwrap();
        for empty in [0o777, 0o755] {
            set(&dir, empty);
            assert_eq!(claim(&dir).unwrap(), None, "nothing was in it");
        }
        let token = dir.join("token");
        fs::write(&token, "secret").unwrap();
        set(&token, 0o666);
        set(&dir, 0o700);
        assert_eq!(claim(&dir).unwrap(), None, "nobody came in");
        set(&token, 0o600);
        set(&dir, 0o755);
        assert_eq!(claim(&dir).unwrap(), None, "nobody could read what is in it");
        set(&token, 0o644);
        set(&dir, 0o755);
        assert_eq!(claim(&dir).unwrap(), Some(Exposed { path: token.clone(), mode: 0o644, count: 1 }));
        set(&dir, 0o777);
        let exposed = claim(&dir).unwrap();
        assert_eq!(exposed, Some(Exposed { path: dir, mode: 0o777, count: 1 }), "others could replace what is in it");
    }

    #[test]
    fn a_shared_directory_stays_as_it_is_and_one_in_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        set(folder.path(), 0o1777);
        let refused = claim(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("mkdir -m 700 {}/sampan", folder.path().display())), "{refused}");
        assert_eq!(mode(folder.path()), 0o1777);
        claim(&folder.path().join("sampan")).unwrap();
        assert!(claim(Path::new("/")).unwrap_err().to_string().contains("mkdir -m 700 /sampan"));
    }

    #[test]
    fn a_directory_or_file_of_another_user_is_refused_with_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("key"), "").unwrap();
        if !give_away(&dir.join("key")) {
            return;
        }
        let refused = claim(&dir).unwrap_err().to_string();
        assert!(refused.contains(&format!("chown -R 0 {}", dir.join("key").display())), "{refused}");
        chown(dir.join("key"), Some(0), None).unwrap();
        claim(&dir).unwrap();
        give_away(&dir);
        let refused = claim(&dir).unwrap_err().to_string();
        assert!(refused.contains(&format!("chmod -R go= {}", dir.display())), "{refused}");
    }

    #[test]
    fn a_link_is_followed_if_it_is_ones_own_and_what_it_leads_to_is_tightened() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, link) = (folder.path().join("data"), folder.path().join("link"));
        symlink(&dir, &link).unwrap();
        let refused = claim(&link).unwrap_err().to_string();
        assert!(refused.contains(&format!("mkdir -m 700 {}", dir.display())), "{refused}");
        fs::create_dir(&dir).unwrap();
        set(&dir, 0o755);
        claim(&link).unwrap();
        assert_eq!(mode(&dir), 0o700);
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(&link, Some(SOMEBODY), None).unwrap();
            let refused = claim(&link).unwrap_err().to_string();
            assert!(refused.contains("65534"), "{refused}");
        }
    }
}
