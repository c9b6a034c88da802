use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use include_dir::Dir;

use crate::{errors::HintExt, umask};

/// The files of a new project, by their paths in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files(BTreeMap<PathBuf, Vec<u8>>);

impl Files {
    /// All files of an embedded folder, by their paths below it.
    pub(crate) fn of(dir: &Dir<'_>) -> Self {
        let mut files = Self::default();
        let mut next = vec![dir];
        while let Some(folder) = next.pop() {
            next.extend(folder.dirs());
            for file in folder.files() {
                let path = file.path().strip_prefix(dir.path()).unwrap_or(file.path());
                files.0.insert(path.to_owned(), file.contents().to_owned());
            }
        }
        files
    }

    /// Adds a file, or puts it in place of the one at this path.
    pub(crate) fn put(&mut self, path: impl Into<PathBuf>, contents: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), contents.into());
    }

    /// The text at a path, if there is one.
    pub(crate) fn text(&self, path: impl AsRef<Path>) -> Option<&str> {
        std::str::from_utf8(self.0.get(path.as_ref())?).ok()
    }

    /// The paths and contents, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.0.iter().map(|(path, contents)| (path.as_path(), contents.as_slice()))
    }

    /// Puts one text in place of another in all files that are texts.
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        for contents in self.0.values_mut() {
            if let Ok(text) = std::str::from_utf8(contents)
                && text.contains(from)
            {
                *contents = text.replace(from, to).into_bytes();
            }
        }
    }

    /// Writes them into a folder that is not there, or is empty.
    ///
    /// # Errors
    /// Something is in the folder, which is then left as it is, or it cannot be written to: then nothing stays in it.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        check_empty(folder)?;
        let was_there = folder.exists();
        let written = self.write_each(folder);
        if written.is_err() {
            self.take_back(folder);
            // Folders that hold something else are not removed by this.
            let _ = if was_there { Ok(()) } else { fs::remove_dir(folder) };
        }
        written
    }

    fn write_each(&self, folder: &Path) -> anyhow::Result<()> {
        let write = |path: &Path, contents: &[u8]| {
            let file = folder.join(path);
            file.parent().map_or(Ok(()), umask::create_folders_for_user)?;
            umask::write_for_user(&file, contents)
        };
        self.iter().try_for_each(|(path, contents)| {
            write(path, contents).with_context(|| format!("{} cannot be written", folder.join(path).display()))
        })
    }

    /// Removes what was written of them, and the folders that this leaves empty.
    fn take_back(&self, folder: &Path) {
        for path in self.0.keys().rev() {
            let _ = fs::remove_file(folder.join(path));
            let within = path.ancestors().skip(1).filter(|within| !within.as_os_str().is_empty());
            within.for_each(|within| drop(fs::remove_dir(folder.join(within))));
        }
    }
}

/// Checks that a new project may be in a folder.
///
/// # Errors
/// Something is there.
fn check_empty(folder: &Path) -> anyhow::Result<()> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(false) => {
            let error = anyhow!("the folder {} is there already, and it is not empty", folder.display());
            Err(error).hint("choose another name; nothing was changed")
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            bail!("{} is a file: choose another name", folder.display())
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_to_a_new_folder_or_an_empty_one_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::default();
        files.put("src/lib.rs", "// NAME");
        files.replace("NAME", "hello");
        let (new, used) = (folder.path().join("a/new"), folder.path().join("used"));
        files.write(&new).unwrap();
        assert_eq!(fs::read_to_string(new.join("src/lib.rs")).unwrap(), "// hello");
        fs::create_dir(&used).unwrap();
        files.write(&used).unwrap();
        fs::write(used.join("src/lib.rs"), "mine").unwrap();
        let said = files.write(&used).unwrap_err().to_string();
        assert!(said.contains("is not empty"), "{said}");
        assert_eq!(fs::read_to_string(used.join("src/lib.rs")).unwrap(), "mine");
        // What cannot be written whole is not there.
        let long = format!("src/{}", "x".repeat(300));
        files.put(&long, "");
        for folder in [folder.path().join("half"), new.join("half")] {
            assert!(files.write(&folder).unwrap_err().to_string().contains("cannot be written"));
            assert!(!folder.exists());
        }
        let said = files.write(&used.join("src/lib.rs")).unwrap_err().to_string();
        assert!(said.contains("is a file"), "{said}");
    }
}
