use std::{
    io::{self, IsTerminal, Write},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;

use super::print_line;
use crate::{
    build::Project,
    errors::HintExt,
    new::{Beginning, Sample, Template, check_name},
    paths::in_shell,
};

/// Commands up to so many characters have a column of their own, beside which stands what they do.
const MAX_COLUMN: usize = 40;

/// Begin a service: write a small project that builds, runs and is tested
///
/// Makes a folder NAME with a service of ten lines, a test, and a sampan.toml: a terminal is asked for the language.
/// `sampan dev` in it builds and serves it, and does so again after each edit. NAME becomes the name of the service.
///
/// Nothing is fetched here. What a language builds with comes once from its own registry, and works offline after that:
///   rust                    `rustup target add wasm32-wasip2`, then `cargo fetch`
///   javascript, typescript  `npm ci`
///   python                  `python3 -m venv .venv`, then `.venv/bin/pip install -r requirements.txt`
///   go                      the same
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
EXAMPLES:
  sampan new hello                           Asks for the language
  sampan new hello --template python         In Python
  sampan new services/hello -t rust          In another folder
  sampan new --from cart                     The shopping cart: three services, pages and a store"
)]
pub(crate) struct New {
    /// Folder to make; its name is the service's [default with --from: the sample's name]
    #[arg(value_name = "NAME", required_unless_present = "from")]
    path: Option<PathBuf>,

    /// Language
    #[arg(short, long, env = "SAMPAN_TEMPLATE", value_name = "LANGUAGE", conflicts_with = "from")]
    template: Option<Template>,

    /// One of Sampan's samples instead, whole
    #[arg(long, env = "SAMPAN_FROM", value_name = "SAMPLE")]
    from: Option<Sample>,
}

impl New {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let folder = match (self.path, self.from) {
            (Some(path), _) => without_detours(&path),
            (None, Some(sample)) => sample.default_name().into(),
            (None, None) => bail!("name the folder to make, such as `sampan new hello`"),
        };
        let name = name_of(&folder)?;
        check_name(&name)?;
        let beginning = match (self.from, self.template) {
            (Some(sample), _) => Beginning::Sample(sample),
            (None, Some(template)) => Beginning::Template(template),
            (None, None) => Beginning::Template(ask_for_template()?),
        };
        beginning.files(&name)?.write(&folder)?;
        let project = Project::read(&folder)?;
        say(beginning, &folder, &project);
        Ok(())
    }
}

/// A path without what leads into a folder that is not there and out again: such folders would be made on the way, and stay.
fn without_detours(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        let is_detour =
            part == Component::ParentDir && short.file_name().is_some() && short.symlink_metadata().is_err();
        if !(is_detour && short.pop()) {
            short.push(part);
        }
    }
    if short.as_os_str().is_empty() { PathBuf::from(".") } else { short }
}

/// The last part of a folder's path, which `.` has too.
fn name_of(folder: &Path) -> anyhow::Result<String> {
    let whole = match folder.file_name() {
        Some(_) => folder.to_owned(),
        None => folder.canonicalize().with_context(|| format!("there is no folder {}", folder.display()))?,
    };
    let name = whole.file_name().with_context(|| format!("{} has no name", folder.display()))?;
    Ok(name.to_string_lossy().into_owned())
}

/// What was made, and what to type next.
fn say(beginning: Beginning, folder: &Path, project: &Project) {
    let mut steps: Vec<(String, &str)> = Vec::new();
    if folder != Path::new(".") {
        steps.push((format!("cd {}", in_shell(folder)), ""));
    }
    for need in project.components.iter().flat_map(crate::build::Component::lacking) {
        steps.push((need.run.clone(), "brings what builds it; once"));
    }
    steps.push(("sampan dev".into(), "runs it, and again after each edit"));
    steps.push((beginning.test_command().into(), "tests it"));
    let fits = |command: &str| command.chars().count() <= MAX_COLUMN;
    let width = steps.iter().filter(|(command, _)| fits(command)).map(|(command, _)| command.chars().count()).max();
    let width = width.unwrap_or_default();
    print_line(format_args!("{}: {}", folder.display(), beginning.about()));
    print_line("\nNext:");
    for (command, why) in steps {
        let why = if fits(&command) { why } else { "" };
        print_line(format!("  {command:width$}  {why}").trim_end());
    }
}

fn ask_for_template() -> anyhow::Result<Template> {
    let all = Template::value_variants();
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let names: Vec<String> = all.iter().map(|template| template.name()).collect();
        return Err(anyhow!("which language? There is no terminal here to ask at"))
            .hint(format!("add --template with one of {}", names.join(", ")));
    }
    let mut errors = io::stderr().lock();
    writeln!(errors, "Which language?")?;
    for (number, template) in (1..).zip(all) {
        writeln!(errors, "  {number}  {:<11} {}", template.name(), template.toolchain())?;
    }
    loop {
        write!(errors, "Number or name [1]: ")?;
        errors.flush()?;
        let mut line = String::new();
        anyhow::ensure!(io::stdin().read_line(&mut line)? > 0, "no language was chosen, and nothing was made");
        match chosen(all, line.trim()) {
            Some(template) => return Ok(template),
            None => writeln!(errors, "`{}` is none of them.", line.trim().escape_debug())?,
        }
    }
}

/// What an answer means: a number of the list, a name, or the first for nothing.
fn chosen(all: &[Template], answer: &str) -> Option<Template> {
    if answer.is_empty() {
        return all.first().copied();
    }
    match answer.parse::<usize>() {
        Ok(number) => all.get(number.checked_sub(1)?).copied(),
        Err(_) => Template::from_str(answer, true).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_number_a_name_or_nothing() {
        let all = Template::value_variants();
        for (answer, meant) in [
            ("", Some(Template::Rust)),
            ("1", Some(Template::Rust)),
            ("Python", Some(Template::Python)),
            ("js", Some(Template::Javascript)),
            ("0", None),
            ("99", None),
            ("cobol", None),
        ] {
            assert_eq!(chosen(all, answer), meant, "{answer}");
        }
    }

    #[test]
    fn folders_that_are_only_gone_through_are_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("there")).unwrap();
        std::os::unix::fs::symlink("there", root.join("link")).unwrap();
        for (path, short) in
            [("a/../b", "b"), ("a/c/../../b", "b"), ("there/a/../b", "there/b"), ("link/../b", "link/../b")]
        {
            assert_eq!(without_detours(&root.join(path)), root.join(short), "{path}");
        }
        assert_eq!(without_detours(Path::new("nowhere/..")), Path::new("."));
    }

    #[test]
    fn the_name_is_the_folders() {
        assert_eq!(name_of(Path::new("a/b/hello/")).unwrap(), "hello");
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("x/..");
        std::fs::create_dir(folder.path().join("x")).unwrap();
        assert_eq!(name_of(&inside).unwrap(), folder.path().file_name().unwrap().to_string_lossy());
    }
}
