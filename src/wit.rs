//! The WIT files that are in this program: what a guest of a language needs of them, kept at the versions that are offered here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use anyhow::{Context, anyhow};
use include_dir::{Dir, include_dir};

use crate::{errors::HintExt, paths::stays_within, umask};

/// The repository's own: `world.wit`, and below `deps` a file or a folder for each package.
pub(crate) static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/wit");

/// The package whose version those of WASI 0.2 share.
const HTTP: &str = "deps/http.wit";
/// Where a project has its world, and the packages that it needs below it.
pub(crate) const FOLDER: &str = "wit";
pub(crate) const DEPS: &str = "deps";

/// A package of ours.
struct Package {
    /// Such as `wasi:io`.
    name: String,
    version: String,
    /// A file or a folder below `deps`.
    at: PathBuf,
    /// Its files, by their paths below `deps`.
    files: Vec<(PathBuf, &'static str)>,
}

impl Package {
    /// Whether it is of WASI 0.2, whose versions understand each other.
    fn is_stable(&self) -> bool {
        is_stable(&self.version)
    }

    fn is_meant(&self, name: &str, version: &str) -> bool {
        self.name == name && (self.version == version || self.is_stable() && is_stable(version))
    }

    fn text(&self) -> String {
        self.files.iter().map(|(_, text)| *text).collect::<Vec<_>>().join("\n")
    }
}

static PACKAGES: LazyLock<Vec<Package>> = LazyLock::new(|| {
    let Some(deps) = WIT.get_dir(DEPS) else { return Vec::new() };
    let mut packages: BTreeMap<PathBuf, Vec<(PathBuf, &'static str)>> = BTreeMap::new();
    let folders = deps.dirs().flat_map(|dir| dir.files().map(move |file| (dir.path(), file)));
    for (at, file) in deps.files().map(|file| (file.path(), file)).chain(folders) {
        let below = |path: &Path| path.strip_prefix(DEPS).unwrap_or(path).to_owned();
        packages.entry(below(at)).or_default().push((below(file.path()), file.contents_utf8().unwrap_or_default()));
    }
    let read = |(at, files): (PathBuf, Vec<(PathBuf, &'static str)>)| {
        let (name, version) = files.iter().find_map(|(_, text)| declared(text))?;
        Some(Package { name, version, at, files })
    };
    packages.into_iter().filter_map(read).collect()
});

/// The version of WASI 0.2 that is offered here.
pub(crate) fn our_version() -> &'static str {
    static OURS: LazyLock<String> = LazyLock::new(|| {
        let http = WIT.get_file(HTTP).and_then(include_dir::File::contents_utf8).unwrap_or_default();
        declared(http).map(|(_, version)| version).unwrap_or_default()
    });
    &OURS
}

/// The packages that worlds need, those of WASI 0.2 in this version: by their paths below `deps`.
pub(crate) fn deps(worlds: &str, version: &str) -> BTreeMap<PathBuf, String> {
    // Worlds of ours name more than a guest needs; only who includes one has them.
    let is_whole = clean(worlds).contains("include wasi:");
    let shown = |text: &str| if is_whole { text.to_owned() } else { without_worlds(text) };
    let mut needed = BTreeSet::new();
    let mut next = mentions(worlds);
    while let Some((name, version)) = next.pop() {
        let found = PACKAGES.iter().position(|package| package.is_meant(&name, &version));
        if let Some(at) = found
            && needed.insert(at)
        {
            next.extend(mentions(&shown(&PACKAGES[at].text())));
        }
    }
    let files = needed.into_iter().flat_map(|at| PACKAGES[at].files.iter());
    files.map(|(path, text)| (path.clone(), shown(text).replace(our_version(), version))).collect()
}

/// What a world needs, at the version that it names.
pub(crate) fn deps_of(world: &str) -> BTreeMap<PathBuf, String> {
    let version = version_of(world);
    deps(world, version.as_deref().unwrap_or(our_version()))
}

/// Brings a folder with a world up to the packages of this program, and says which of its files have changed. Links in it are followed
/// within these folders, which are the project's.
///
/// # Errors
/// It cannot be read or written, has a package of ours at another place, or a link leads what would be written out of the project:
/// nothing is written then.
pub(crate) fn update(folder: &Path, project: &[&Path], version: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut wanted = BTreeMap::new();
    let mut worlds = String::new();
    for path in files_in(folder)? {
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let ours = WIT.get_file("world.wit").and_then(include_dir::File::contents_utf8);
        let text = match ours {
            Some(ours) if declared(ours).map(|ours| ours.0) == declared(&text).map(|it| it.0) => ours.to_owned(),
            _ => with_version(&text, version),
        };
        worlds.push_str(&text);
        wanted.insert(path, text);
    }
    let deps_folder = folder.join(DEPS);
    for entry in entries(&deps_folder)? {
        let texts = if entry.is_dir() { files_in(&entry)? } else { vec![entry.clone()] };
        let texts = texts.iter().filter_map(|path| fs::read_to_string(path).ok());
        let Some((name, its_version)) = texts.into_iter().find_map(|text| declared(&text)) else { continue };
        let Some(package) = PACKAGES.iter().find(|package| package.is_meant(&name, &its_version)) else { continue };
        if deps_folder.join(&package.at) != entry {
            let there = deps_folder.join(&package.at);
            return Err(anyhow!("{} holds {name}, which is kept in {}", entry.display(), there.display()))
                .hint(format!("remove it: rm -r {}", entry.display()));
        }
        // What is there stays, though nothing may name it any more.
        worlds.push_str(&format!("\n{name}/any@{its_version};"));
    }
    wanted.extend(deps(&worlds, version).into_iter().map(|(path, text)| (deps_folder.join(path), text)));
    wanted.retain(|path, text| !fs::read_to_string(path).is_ok_and(|there| there == *text));
    wanted.keys().try_for_each(|path| check_inside(path, project))?;
    let mut changed = Vec::new();
    for (path, text) in wanted {
        path.parent().map_or(Ok(()), umask::create_folders_for_user)?;
        umask::write_for_user(&path, text.as_bytes())
            .with_context(|| format!("{} cannot be written", path.display()))?;
        changed.push(path);
    }
    Ok(changed)
}

/// Checks that what is written at a path comes to be in one of these folders, wherever links lead.
fn check_inside(path: &Path, project: &[&Path]) -> anyhow::Result<()> {
    if stays_within(path, project) {
        return Ok(());
    }
    let error = anyhow!("a link leads {} out of the project: nothing was written", path.display());
    Err(error).hint("put a file or folder of its own in place of the link, or update the project that it leads to")
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(found) => {
            let mut found: Vec<PathBuf> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
            found.sort();
            Ok(found)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", folder.display())),
    }
}

/// The WIT files right in a folder.
fn files_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let is_wit = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wit");
    Ok(entries(folder)?.into_iter().filter(is_wit).collect())
}

/// Whether a version is of WASI 0.2, not a draft of something else.
pub(crate) fn is_stable(version: &str) -> bool {
    version.starts_with("0.2.") && !version.contains('-')
}

/// The text without comments.
fn clean(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The name and the version that a file declares for its package.
fn declared(text: &str) -> Option<(String, String)> {
    let clean = clean(text);
    let package = clean.lines().find_map(|line| line.trim().strip_prefix("package "))?;
    let (name, version) = package.trim().trim_end_matches(';').split_once('@')?;
    Some((name.trim().to_owned(), version.trim().to_owned()))
}

/// The packages that a text names: `wasi:io/poll@0.2.12` is of `wasi:io` at `0.2.12`.
fn mentions(text: &str) -> Vec<(String, String)> {
    let clean = clean(text);
    let named = clean.match_indices("wasi:").filter_map(|(at, _)| {
        let rest = &clean[at..];
        let (path, version) = rest.split_once('@')?;
        let (name, _) = path.split_once('/')?;
        let is_word = |text: &str| !text.contains(|c: char| c.is_whitespace() || c == ';');
        let end = version.find(|c: char| !(c.is_ascii_alphanumeric() || "-.".contains(c))).unwrap_or(version.len());
        let version = version[..end].trim_end_matches('.');
        is_word(path).then(|| (name.to_owned(), version.to_owned()))
    });
    named.collect()
}

/// The version of WASI 0.2 that a text names first.
fn version_of(text: &str) -> Option<String> {
    mentions(text).into_iter().map(|(_, version)| version).find(|version| is_stable(version))
}

/// The text with this version in place of those of WASI 0.2 that it names.
fn with_version(text: &str, version: &str) -> String {
    let named: BTreeSet<String> =
        mentions(text).into_iter().map(|(_, version)| version).filter(|version| is_stable(version)).collect();
    // The longer ones first, of which shorter ones are the beginning.
    named.iter().rev().fold(text.to_owned(), |text, old| match old == version {
        true => text,
        false => text
            .replace(&format!("@{old};"), &format!("@{version};"))
            .replace(&format!("@{old}.{{"), &format!("@{version}.{{")),
    })
}

/// The text of a package without its worlds.
fn without_worlds(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut is_within = false;
    for line in text.lines() {
        if line.starts_with("world ") {
            // What is said of the world goes with it.
            while kept.last().is_some_and(|line| line.starts_with('@') || line.starts_with("///")) {
                kept.pop();
            }
            is_within = true;
        } else if !is_within {
            kept.push(line);
        } else if line.starts_with('}') {
            is_within = false;
        }
    }
    format!("{}\n", kept.join("\n").trim_end())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const WORLD: &str = "package app:service;\nworld service {\n  export wasi:http/incoming-handler@0.2.10;\n}\n";

    #[test]
    fn a_world_gets_the_packages_that_it_needs_at_its_version_and_no_others() {
        let deps = deps(WORLD, "0.2.10");
        let paths: Vec<String> = deps.keys().map(|path| path.display().to_string()).collect();
        assert_eq!(paths, ["clocks.wit", "http.wit", "io.wit"]);
        for (path, text) in &deps {
            assert!(!text.contains(our_version()) && !text.contains("\nworld "), "{}", path.display());
            assert!(text.contains("@0.2.10;\n"), "{}", path.display());
        }
    }

    #[test]
    fn what_is_imported_later_is_brought_and_what_was_changed_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let world = folder.path().join("world.wit");
        fs::write(&world, WORLD).unwrap();
        let update = |folder: &Path, version| update(folder, &[folder], version);
        let changed = update(folder.path(), our_version()).unwrap();
        assert_eq!(changed.len(), 4, "{changed:?}");
        assert!(fs::read_to_string(&world).unwrap().contains(&format!("incoming-handler@{};", our_version())));
        assert!(update(folder.path(), our_version()).unwrap().is_empty());
        let more = "export wasi:http/incoming-handler@0.2.3;\n  import wasi:keyvalue/store@0.2.0-draft2; // not wasi:random/random@0.2.3\n";
        fs::write(&world, WORLD.replace("export wasi:http/incoming-handler@0.2.10;", more)).unwrap();
        fs::write(folder.path().join("deps/io.wit"), "package wasi:io@0.2.3;\n").unwrap();
        let changed = update(folder.path(), our_version()).unwrap();
        let names: Vec<String> =
            changed.iter().map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string()).collect();
        assert!(names.contains(&"deps/keyvalue-draft2/store.wit".to_owned()), "{names:?}");
        assert!(names.contains(&"deps/io.wit".to_owned()) && names.contains(&"world.wit".to_owned()), "{names:?}");
        assert!(!folder.path().join("deps/random.wit").exists());
        fs::create_dir(folder.path().join("deps/wasi-http")).unwrap();
        fs::write(folder.path().join("deps/wasi-http/types.wit"), "package wasi:http@0.2.0;\n").unwrap();
        let said = crate::errors::report(&update(folder.path(), our_version()).unwrap_err());
        assert!(said.contains("holds wasi:http") && said.contains("rm -r"), "{said}");
    }

    #[test]
    fn our_own_worlds_stay_whole() {
        let folder = tempfile::tempdir().unwrap();
        crate::new::Files::of(&WIT).write(folder.path()).unwrap();
        let update = || update(folder.path(), &[folder.path()], our_version()).unwrap();
        assert!(update().is_empty());
        fs::write(folder.path().join("world.wit"), "package sampan:guest@0.0.9;\n").unwrap();
        assert_eq!(update(), [folder.path().join("world.wit")]);
    }

    #[test]
    fn nothing_is_written_by_a_link_that_leads_out_of_the_project() {
        let folder = tempfile::tempdir().unwrap();
        let [project, outside] = ["project", "outside"].map(|name| folder.path().join(name));
        let (wit, deps) = (project.join("wit"), project.join("wit/deps"));
        fs::create_dir_all(&wit).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("io.wit"), "package wasi:io@0.2.3;\n").unwrap();
        fs::write(wit.join("world.wit"), WORLD).unwrap();
        let update = || update(&wit, &[project.as_path()], our_version());
        symlink(&outside, &deps).unwrap();
        let said = crate::errors::report(&update().unwrap_err());
        assert!(said.contains("deps/clocks.wit out of the project"), "{said}");
        fs::remove_file(&deps).unwrap();
        fs::create_dir(&deps).unwrap();
        for target in ["io.wit", "none.wit"] {
            symlink(outside.join(target), deps.join("io.wit")).unwrap();
            let said = crate::errors::report(&update().unwrap_err());
            assert!(said.contains("deps/io.wit out of the project"), "{said}");
            fs::remove_file(deps.join("io.wit")).unwrap();
        }
        assert_eq!(fs::read_to_string(wit.join("world.wit")).unwrap(), WORLD, "nothing was written at all");
        assert_eq!(fs::read_to_string(outside.join("io.wit")).unwrap(), "package wasi:io@0.2.3;\n");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        // Within the project they are followed.
        fs::remove_dir(&deps).unwrap();
        fs::create_dir(project.join("shared")).unwrap();
        symlink("../shared", &deps).unwrap();
        assert_eq!(update().unwrap().len(), 4);
    }
}
