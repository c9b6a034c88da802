use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use registry_client::ImageReference;
use serde::Deserialize;

use super::{compile::read_component, inputs};
use crate::{client::kinds::closest, errors::HintExt, paths::in_shell, wit};

/// The file that makes a folder a project.
pub(crate) const PROJECT_FILE: &str = "sampan.toml";

/// A folder with components and manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Project {
    pub(crate) name: String,
    /// What was named: its folder, or a component alone. Absolute.
    pub(crate) found_at: PathBuf,
    /// The folder, absolute.
    pub(crate) root: PathBuf,
    /// Files and folders, absolute. Of none, each component has a Deployment and a Service all the same.
    pub(crate) manifests: Vec<PathBuf>,
    /// In the order of their names.
    pub(crate) components: Vec<Component>,
}

/// One thing that is built into one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Component {
    pub(crate) name: String,
    pub(crate) image: String,
    /// Where it is built, absolute.
    pub(crate) dir: PathBuf,
    pub(crate) recipe: Recipe,
    /// A change of one of these, or below it, asks for a new build; so does one of what a build by Cargo says that it
    /// read. Absolute.
    pub(crate) watch: Vec<PathBuf>,
    /// What its command needs, in the order in which it is looked for.
    pub(crate) needs: Vec<Need>,
    /// The version of WASI 0.2 that its toolchain was built with, where that must be met exactly.
    pub(crate) wasi: Option<String>,
}

/// Something without which a command cannot build, and the command that brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) what: Needed,
    /// To be run in the component's folder.
    pub(crate) run: String,
}

/// What is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Needed {
    /// A program, on PATH.
    Program(String),
    /// A file, absolute.
    File(PathBuf),
}

/// How a component is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// The Cargo package in its folder, for `wasm32-wasip2`.
    Cargo,
    /// A shell command, after which the component is in this file.
    Command { line: String, artifact: PathBuf },
    /// It is in this file, which something else makes.
    Made { artifact: PathBuf },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    app: App,
    #[serde(default)]
    component: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct App {
    name: String,
    #[serde(default)]
    manifests: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    image: String,
    path: Option<PathBuf>,
    command: Option<String>,
    artifact: Option<PathBuf>,
    watch: Option<Vec<PathBuf>>,
    #[serde(default)]
    needs: Vec<NeedEntry>,
    wasi: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NeedEntry {
    program: Option<String>,
    file: Option<PathBuf>,
    run: String,
}

impl NeedEntry {
    fn read(self, dir: &Path) -> Result<Need, String> {
        let what = match (self.program, self.file) {
            (Some(program), None) => Needed::Program(program),
            (None, Some(file)) => Needed::File(dir.join(file)),
            _ => return Err(".needs: each names either a `program` or a `file`, and with `run` what brings it".into()),
        };
        Ok(Need { what, run: self.run })
    }
}

impl Need {
    /// Whether it is here.
    fn is_met(&self) -> bool {
        match &self.what {
            Needed::File(file) => file.exists(),
            Needed::Program(program) => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
            }
        }
    }
}

impl Project {
    /// The project that is meant by a folder or a file: a folder with a project file, else with a Cargo package or one component,
    /// or a component itself.
    pub(crate) fn find(named: &Path) -> anyhow::Result<Self> {
        if named.extension().is_some_and(|extension| extension == "wasm") && !named.is_dir() {
            return Self::of_component(named);
        }
        if !named.is_dir() || named.join(PROJECT_FILE).exists() {
            return Self::read(named);
        }
        if named.join("Cargo.toml").is_file() {
            return Self::of_package(named, None);
        }
        let entries = fs::read_dir(named).with_context(|| format!("{} cannot be read", named.display()))?;
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut components: Vec<PathBuf> =
            files.filter(|file| file.extension().is_some_and(|extension| extension == "wasm")).collect();
        components.sort();
        match components.as_slice() {
            [] => Self::read(named),
            [one] => Ok(Self { found_at: absolute(named)?, ..Self::of_component(one)? }),
            [first, ..] => Err(anyhow!("{} holds {} components", named.display(), components.len()))
                .hint(format!("name one of them: `sampan dev {}`", in_shell(first))),
        }
    }

    /// A component that is there already, as a project of its own.
    fn of_component(file: &Path) -> anyhow::Result<Self> {
        let file = absolute(file)?;
        let bytes = read_component(&file)?;
        registry_client::inspect(&bytes).with_context(|| format!("{} cannot be run", file.display()))?;
        let name = label(&file.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default());
        let root = file.parent().unwrap_or(Path::new("/")).to_owned();
        let entry = Entry { image: format!("{name}:dev"), artifact: Some(file.clone()), ..Entry::default() };
        Self::of_one(name, file, root, entry)
    }

    /// One component as a project of its own.
    fn of_one(name: String, found_at: PathBuf, root: PathBuf, entry: Entry) -> anyhow::Result<Self> {
        let component = Component::new(&root, &name, entry).map_err(|why| anyhow!("{name}{why}"))?;
        Ok(Self { name, found_at, root, manifests: Vec::new(), components: vec![component] })
    }

    /// Reads the project in a folder.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        // Its file means its folder.
        let is_file = folder.file_name().is_some_and(|name| name == PROJECT_FILE) && folder.is_file();
        let folder =
            if is_file { folder.parent().filter(|folder| !folder.as_os_str().is_empty()) } else { Some(folder) };
        let folder = folder.unwrap_or(Path::new("."));
        let root = fs::canonicalize(folder).with_context(|| format!("there is no folder {}", folder.display()))?;
        let file = root.join(PROJECT_FILE);
        if !file.is_file() {
            return Err(anyhow!("{} has no {PROJECT_FILE}", root.display())).hint(
                "name a folder with one, with a Cargo package or with a component, or a component itself; or write one, such as:\n    \
                 [app]\n    name = \"shop\"\n\n    [component.shop]\n    image = \"shop:dev\"\n    path = \".\"",
            );
        }
        let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        Self::parse(&root, &text).map_err(|why| anyhow!("{}{why}", file.display()))
    }

    /// Reads a project's text; a failure begins with the line, where there is one.
    fn parse(root: &Path, text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| explain(text, &error))?;
        api::check_dns_label(&file.app.name).map_err(|error| format!(": app.name: {error}"))?;
        let mut images = HashSet::new();
        let mut components = Vec::new();
        for (name, entry) in file.component {
            let component = Component::new(root, &name, entry).map_err(|why| format!(": component.{name}{why}"))?;
            if !images.insert(component.image.clone()) {
                return Err(format!(": component.{name}.image: `{}` is another component's too", component.image));
            }
            components.push(component);
        }
        for path in &file.app.manifests {
            refuse_pattern(root, path).map_err(|why| format!(": app.manifests: {why}"))?;
        }
        let manifests = file.app.manifests.iter().map(|path| root.join(path)).collect();
        Ok(Self { name: file.app.name, found_at: root.to_owned(), root: root.to_owned(), manifests, components })
    }

    /// A Cargo package that is no project, as one with a single component.
    pub(crate) fn of_package(folder: &Path, tag: Option<&str>) -> anyhow::Result<Self> {
        let root = fs::canonicalize(folder).with_context(|| format!("there is no folder {}", folder.display()))?;
        let file = root.join("Cargo.toml");
        if !file.is_file() {
            bail!("{} has neither a {PROJECT_FILE} nor a Cargo.toml", root.display());
        }
        let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let cargo: toml::Table = toml::from_str(&text).with_context(|| format!("{} cannot be read", file.display()))?;
        let Some(name) = cargo.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str)
        else {
            bail!("{} is a workspace, not a package: name the package's folder", file.display());
        };
        let name = label(name);
        let entry = Entry { image: tag.map_or_else(|| format!("{name}:dev"), str::to_owned), ..Entry::default() };
        Self::of_one(name, root.clone(), root, entry)
    }
}

impl Component {
    fn new(root: &Path, name: &str, entry: Entry) -> Result<Self, String> {
        api::check_dns_label(name).map_err(|error| format!(": {error}"))?;
        let reference: ImageReference = entry.image.parse().map_err(|error| format!(".image: {error}"))?;
        if reference.digest().is_some() {
            return Err(".image: a digest cannot be built, only a name: write NAME:TAG".to_owned());
        }
        let dir = normalize(&root.join(entry.path.unwrap_or_default()));
        let recipe = match (entry.command, entry.artifact) {
            (None, None) if dir.join("Cargo.toml").is_file() => Recipe::Cargo,
            (None, None) => {
                return Err(format!(
                    ".path: {} has no Cargo.toml: give `command` and `artifact` for anything else, or `artifact` alone for what is \
                     built already",
                    dir.display()
                ));
            }
            (Some(line), Some(artifact)) => Recipe::Command { line, artifact: dir.join(artifact) },
            (Some(_), None) => return Err(": `command` also needs `artifact`, the file that it makes".to_owned()),
            (None, Some(artifact)) => Recipe::Made { artifact: normalize(&dir.join(artifact)) },
        };
        for path in entry.watch.iter().flatten() {
            refuse_pattern(&dir, path).map_err(|why| format!(".watch: {why}"))?;
        }
        let named = entry.watch.iter().flatten().map(|path| normalize(&dir.join(path)));
        let watch = match (&recipe, &entry.watch) {
            (Recipe::Cargo, _) => named.chain(inputs::of_package(&dir, root)).collect(),
            (Recipe::Command { .. }, Some(_)) => named.collect(),
            (Recipe::Command { .. }, None) => vec![dir.clone()],
            (Recipe::Made { artifact }, Some(_)) => named.chain([artifact.clone()]).collect(),
            (Recipe::Made { artifact }, None) => vec![artifact.clone()],
        };
        if !matches!(recipe, Recipe::Command { .. }) && !entry.needs.is_empty() {
            return Err(".needs: is for a `command`; what Cargo needs is known".to_owned());
        }
        let needs = entry.needs.into_iter().map(|need| need.read(&dir)).collect::<Result<_, _>>()?;
        let wasi = entry.wasi;
        if wasi.as_ref().is_some_and(|version| !wit::is_stable(version)) {
            return Err(".wasi: a version of WASI 0.2 is meant, such as `0.2.10`".to_owned());
        }
        Ok(Self { name: name.to_owned(), image: entry.image, dir, recipe, watch, needs, wasi })
    }

    /// What of that which its command needs is not here.
    pub(crate) fn lacking(&self) -> impl Iterator<Item = &Need> {
        self.needs.iter().filter(|need| !need.is_met())
    }

    /// Checks that what its command needs is here.
    ///
    /// # Errors
    /// Something is not; it is named with what brings it.
    pub(super) fn check_needs(&self) -> anyhow::Result<()> {
        let Some(need) = self.lacking().next() else { return Ok(()) };
        let what = match &need.what {
            Needed::Program(program) => format!("`{program}`, which is not on PATH"),
            Needed::File(file) => {
                format!("{}, which is not there", file.strip_prefix(&self.dir).unwrap_or(file).display())
            }
        };
        let run = format!("run `{}` in {}", need.run, self.dir.display());
        Err(anyhow!("{} is built with {what}", self.name)).hint(run)
    }
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("there is no {}", path.display()))
}

/// A name for objects of the API, as near to another name as theirs can be: in small letters and digits, with dashes between.
pub(crate) fn label(name: &str) -> String {
    /// Names of replicas are longer, and limited too.
    const MOST: usize = 40;
    let dashed = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let name: String = dashed.take(MOST).collect();
    let name = name.trim_matches('-');
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if begins { name.to_owned() } else { format!("service-{name}").trim_end_matches('-').to_owned() }
}

/// Refuses what others read as a pattern of many paths, unless it is the name of something.
fn refuse_pattern(base: &Path, path: &Path) -> Result<(), String> {
    let is_pattern = |part: &Path| part.to_string_lossy().contains(['*', '?', '[', '{']);
    if !is_pattern(path) || base.join(path).exists() {
        return Ok(());
    }
    let folder: PathBuf = path.iter().take_while(|part| !is_pattern(Path::new(part))).collect();
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    Err(format!(
        "`{}` is a pattern, but files are named here, and folders with all below them: write `{}`",
        path.display(),
        folder.display()
    ))
}

/// The path without `.` and `..`, so that it can be compared with those of changes.
pub(super) fn normalize(path: &Path) -> PathBuf {
    use std::path::Component as Part;
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Part::CurDir => {}
            Part::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

/// The line and the reason, with a suggestion for a key that does not exist.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let at = line.map(|line| format!(":{line}")).unwrap_or_default();
    // Serde's message has the unknown key first and then the known ones, each in backticks.
    let message = error.message();
    let mut quoted = message.split('`').skip(1).step_by(2);
    if let (true, Some(unknown)) = (message.starts_with("unknown field"), quoted.next()) {
        let known: Vec<&str> = quoted.collect();
        return match closest(unknown, known.iter().copied()) {
            Some(near) => format!("{at}: unknown key `{unknown}`: did you mean `{near}`?"),
            None => format!("{at}: unknown key `{unknown}`: the keys here are {}", known.join(", ")),
        };
    }
    format!("{at}: {}", message.replace("missing field", "missing key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(component: &str) -> Result<Project, String> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("products")).unwrap();
        fs::write(root.path().join("products/Cargo.toml"), "").unwrap();
        let app = "[app]\nname = \"shop\"\nmanifests = [\"deploy\"]\n";
        Project::parse(root.path(), &format!("{app}[component.products]\n{component}"))
            .map_err(|why| why.replace(&*root.path().to_string_lossy(), "ROOT"))
    }

    #[test]
    fn a_component_is_a_package_with_its_sources_watched() {
        let project = project("image = \"shop/products:dev\"\npath = \"products\"").unwrap();
        let component = &project.components[0];
        assert_eq!(component.recipe, Recipe::Cargo);
        assert_eq!(component.dir, project.root.join("products"));
        for watched in ["src", "wit", "build.rs", "Cargo.toml", "Cargo.lock", "../Cargo.lock", ".cargo/config.toml"] {
            assert!(component.watch.contains(&normalize(&component.dir.join(watched))), "{watched}");
        }
        assert_eq!(project.manifests, [project.root.join("deploy")]);
    }

    #[test]
    fn anything_else_is_a_command_and_its_artifact() {
        let text = "image = \"a\"\ncommand = \"make a.wasm\"\nartifact = \"out/a.wasm\"\nwatch = [\"../x\", \".\"]";
        let project = project(text).unwrap();
        let component = &project.components[0];
        let artifact = project.root.join("out/a.wasm");
        assert_eq!(component.recipe, Recipe::Command { line: "make a.wasm".into(), artifact });
        assert_eq!(component.watch, [project.root.parent().unwrap().join("x"), project.root.clone()]);
    }

    #[test]
    fn of_a_command_that_names_nothing_the_folder_is_watched() {
        let project = project("image = \"a\"\ncommand = \"make\"\nartifact = \"a.wasm\"").unwrap();
        assert_eq!(project.components[0].watch, [project.root]);
    }

    #[test]
    fn a_project_is_named_by_its_folder_or_by_its_file() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(PROJECT_FILE), "[app]\nname = \"shop\"\n").unwrap();
        let by_file = Project::read(&root.path().join(PROJECT_FILE)).unwrap();
        assert_eq!(by_file, Project::read(root.path()).unwrap());
        assert!(Project::read(&root.path().join("other.toml")).is_err());
    }

    #[test]
    fn what_something_else_makes_is_watched_where_it_is() {
        let project = project("image = \"a\"\nartifact = \"out/a.wasm\"").unwrap();
        let artifact = project.root.join("out/a.wasm");
        assert_eq!(project.components[0].watch, std::slice::from_ref(&artifact));
        assert_eq!(project.components[0].recipe, Recipe::Made { artifact });
    }

    #[test]
    fn a_name_is_as_near_to_another_as_may_be() {
        for (name, near) in [
            ("hello", "hello"),
            ("My_Service.v2", "my-service-v2"),
            ("3", "service-3"),
            ("", "service"),
            ("ü", "service"),
        ] {
            assert_eq!(label(name), near);
            assert!(api::check_dns_label(near).is_ok(), "{near}");
        }
    }

    #[test]
    fn a_folder_without_a_project_file_is_its_package_or_its_one_component() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let why = |named: &Path| crate::errors::report(&Project::find(named).unwrap_err());
        assert!(why(&root).contains("has no sampan.toml"), "{}", why(&root));
        fs::write(root.join("a.wasm"), b"\0asm\x01\0\0\0").unwrap();
        assert!(why(&root).contains("core WebAssembly module"), "{}", why(&root));
        fs::write(root.join("b.wasm"), "").unwrap();
        assert!(why(&root).contains("holds 2 components"), "{}", why(&root));
        fs::write(root.join("Cargo.toml"), "[package]\nname = \"my_shop\"\n").unwrap();
        let project = Project::find(&root).unwrap();
        assert_eq!((project.name.as_str(), project.components[0].image.as_str()), ("my-shop", "my-shop:dev"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_a_suggestion() {
        let error = project("imgae = \"a\"").unwrap_err();
        assert_eq!(error, ":5: unknown key `imgae`: did you mean `image`?");
        let error = project("image = \"a\"\nxyz = 1").unwrap_err();
        assert!(error.starts_with(":6: unknown key `xyz`: the keys here are image, path"), "{error}");
    }

    #[test]
    fn what_a_command_lacks_is_named_with_what_brings_it() {
        let command = "image = \"a\"\ncommand = \"make\"\nartifact = \"a.wasm\"\n";
        let with = |needs: &str| project(&format!("{command}needs = [{needs}]"));
        let needs = "{ program = \"sh\", run = \"x\" }, { file = \"node_modules/.bin/jco\", run = \"npm ci\" }, \
                     { program = \"no-such-program\", run = \"get it\" }";
        let component = &with(needs).unwrap().components[0];
        assert_eq!(component.lacking().map(|need| &*need.run).collect::<Vec<_>>(), ["npm ci", "get it"]);
        let said = crate::errors::report(&component.check_needs().unwrap_err());
        assert!(said.contains("products is built with node_modules/.bin/jco, which is not there"), "{said}");
        assert!(said.contains("hint: run `npm ci` in /"), "{said}");
        assert!(with("{ run = \"x\" }").unwrap_err().contains("either a `program` or a `file`"));
        assert!(with("{ program = \"x\" }").unwrap_err().contains("missing key `run`"));
        assert!(project(&format!("{command}wasi = \"0.3.0\"")).unwrap_err().contains("such as `0.2.10`"));
        let cargo = "image = \"a\"\npath = \"products\"\nneeds = [{ program = \"x\", run = \"y\" }]";
        assert!(project(cargo).unwrap_err().contains("is for a `command`"));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(project("path = \"products\"").unwrap_err().contains("missing key `image`"));
        assert!(project("image = \"a\"\npath = \"none\"").unwrap_err().contains("ROOT/none has no Cargo.toml"));
        assert!(project("image = \"a\"\ncommand = \"make\"").unwrap_err().contains("also needs `artifact`"));
        assert!(project("image = \"A B\"").unwrap_err().starts_with(": component.products.image: `A B` is not"));
        assert!(project("image = ").unwrap_err().starts_with(":5: "));
        let watch = |named: &str| project(&format!("image = \"a\"\npath = \"products\"\nwatch = [\"{named}\"]"));
        assert!(watch("web/src/**/*.js").unwrap_err().ends_with("write `web/src`"));
        assert!(watch("*.js").unwrap_err().ends_with("write `.`"));
        assert!(watch("made/later").is_ok());
    }
}
