//! Reading manifests: files, folders and standard input into documents that know where they are from.

use std::{
    borrow::Cow,
    fmt, fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use kube_api::notation;
use serde_json::Value;

use super::list::{self, List};

/// A manifest file larger than this is refused.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Folders are read down to this depth, so that a link to itself ends.
const MAX_DEPTH: usize = 16;

/// One object of a manifest.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) origin: Origin,
    pub(crate) object: Value,
}

/// Where a document is from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The file's name as the user would write it.
    pub(crate) file: Arc<str>,
    /// Which document of the file, from 1.
    pub(crate) number: usize,
    /// The line (from 1) on which it begins.
    pub(crate) first_line: usize,
    /// Its text.
    pub(crate) text: Arc<str>,
}

/// Something that is wrong with a manifest, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Problem {
    pub(crate) file: String,
    pub(crate) document: Option<usize>,
    pub(crate) line: Option<usize>,
    pub(crate) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(document) = self.document {
            write!(f, ": document {document}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Origin {
    /// A problem with this document, at the field if its path is known and it can be found.
    pub(crate) fn problem(&self, field: Option<&str>, message: impl Into<String>) -> Problem {
        let offset = field.and_then(|path| super::locate::field_line(&self.text, path)).unwrap_or(1);
        Problem {
            file: self.file.to_string(),
            document: Some(self.number),
            line: Some(self.first_line + offset - 1),
            message: message.into(),
        }
    }
}

/// What is in a file, up to more than it may have: a device says nothing of its size.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What reading gave: all documents that could be read, and all that is wrong.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    pub(crate) documents: Vec<Document>,
    pub(crate) problems: Vec<Problem>,
}

impl Manifests {
    /// Reads files, folders (with those below them, in the order of their names) and `-` for standard input.
    pub(crate) fn read(paths: &[PathBuf]) -> Self {
        let mut manifests = Self::default();
        for path in paths {
            if path == Path::new("-") {
                manifests.read_stdin();
            } else {
                manifests.read_path(path, 0);
            }
        }
        manifests
    }

    fn read_stdin(&mut self) {
        let mut bytes = Vec::new();
        match std::io::stdin().take(MAX_FILE_BYTES).read_to_end(&mut bytes) {
            Ok(_) => self.parse_bytes("standard input", &bytes),
            Err(error) => self.fail("standard input", error.to_string()),
        }
    }

    fn read_path(&mut self, path: &Path, depth: usize) {
        let name = path.display().to_string();
        match fs::metadata(path) {
            Err(error) => self.fail(&name, format!("cannot be read: {error}")),
            Ok(metadata) if metadata.is_dir() => self.read_folder(path, depth),
            // One that is named may be a pipe of a shell. What lies in a folder was not asked for by itself.
            Ok(metadata) if depth > 0 && !metadata.is_file() => {
                self.fail(&name, "is a pipe or a device, and no file".into())
            }
            Ok(_) => match read_bounded(path) {
                Ok(bytes) if bytes.len() as u64 > MAX_FILE_BYTES => {
                    self.fail(&name, format!("is larger than the limit of {} MiB", MAX_FILE_BYTES >> 20));
                }
                Ok(bytes) => self.parse_bytes(&name, &bytes),
                Err(error) => self.fail(&name, format!("cannot be read: {error}")),
            },
        }
    }

    fn read_folder(&mut self, path: &Path, depth: usize) {
        if depth >= MAX_DEPTH {
            return self.fail(&path.display().to_string(), format!("is more than {MAX_DEPTH} folders deep"));
        }
        let mut entries: Vec<PathBuf> = match fs::read_dir(path) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
            Err(error) => return self.fail(&path.display().to_string(), format!("cannot be read: {error}")),
        };
        entries.sort();
        for entry in entries {
            if entry.is_dir() || is_manifest(&entry) {
                self.read_path(&entry, depth + 1);
            }
        }
    }

    fn parse_bytes(&mut self, file: &str, bytes: &[u8]) {
        match notation::decoded(bytes) {
            Ok(text) => self.parse(file, &text),
            Err(error) => self.fail(file, error.to_string()),
        }
    }

    /// Reads the documents of one text.
    pub(crate) fn parse(&mut self, file: &str, text: &str) {
        let file: Arc<str> = file.into();
        // As kubectl, which ends the last line: a block scalar that ends there has its line feed.
        let text = if text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) };
        for (index, document) in notation::documents(&text).into_iter().enumerate() {
            let first_line = document.first_line;
            let origin = Origin { file: file.clone(), number: index + 1, first_line, text: document.text.into() };
            match notation::read_document(document.text) {
                Ok(texts) => texts.into_iter().for_each(|text| self.accept_text(&origin, text)),
                Err(error) => self.problems.push(syntax_problem(&origin, error)),
            }
        }
    }

    /// What the server would refuse under `fieldValidation=Strict`, it would not see: it is told here.
    fn accept_text(&mut self, origin: &Origin, text: notation::Text) {
        for path in &text.duplicates {
            let message = format!("duplicate field \"{path}\": it is given twice, remove one of them");
            self.problems.push(origin.problem(Some(path), message));
        }
        if !text.value.is_null() {
            self.accept(origin, text.value);
        }
    }

    fn accept(&mut self, origin: &Origin, object: Value) {
        match list::items(object) {
            List::Of(items) => items.into_iter().for_each(|item| self.accept(origin, item)),
            List::None(mut object) if object.is_object() => {
                forget_what_servers_write(&mut object);
                self.documents.push(Document { origin: origin.clone(), object });
            }
            List::None(_) => {
                self.problems
                    .push(origin.problem(None, "is not an object: a manifest begins with apiVersion and kind"));
            }
        }
    }

    fn fail(&mut self, file: &str, message: String) {
        self.problems.push(Problem { file: file.to_owned(), document: None, line: None, message });
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

fn syntax_problem(origin: &Origin, error: notation::Unreadable) -> Problem {
    let error = error.behind(origin.first_line);
    let line = error.line.or(Some(origin.first_line));
    Problem { line, ..origin.problem(None, error.message) }
}

/// Fields of metadata that servers write. A file that `get -o yaml` printed has those of an object that was; as it is
/// applied, it is about the one that is.
const WRITTEN_BY_SERVERS: [&str; 8] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

fn forget_what_servers_write(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    fields.remove("status");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        WRITTEN_BY_SERVERS.iter().for_each(|field| drop(metadata.remove(*field)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Manifests {
        let mut manifests = Manifests::default();
        manifests.parse("deploy/shop.yaml", text);
        manifests
    }

    #[test]
    fn documents_know_their_number_and_line() {
        let manifests = parse("# A comment.\n---\nkind: A\n---\n\n---\nkind: B\n");
        let origins: Vec<_> = manifests.documents.iter().map(|d| (d.origin.number, d.origin.first_line)).collect();
        assert_eq!(origins, [(1, 3), (2, 7)]);
        assert!(manifests.problems.is_empty());
    }

    #[test]
    fn json_and_lists_are_read_too() {
        let manifests = parse(r#"{"kind": "List", "items": [{"kind": "A"}, {"kind": "B"}]}"#);
        assert_eq!(manifests.documents.len(), 2);
    }

    #[test]
    fn bad_yaml_is_told_with_file_document_and_line_and_the_rest_is_read() {
        let manifests = parse("kind: A\n---\nkind: B\n  bad: 1\n---\nkind: C\n");
        assert_eq!(manifests.documents.len(), 2);
        let problem = manifests.problems[0].to_string();
        assert!(problem.starts_with("deploy/shop.yaml:4: document 2: "), "{problem}");
    }

    #[test]
    fn what_never_ends_is_read_no_further_than_the_limit_and_in_a_folder_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("a.yaml")).unwrap();
        let told = |path: &Path| Manifests::read(&[path.to_owned()]).problems[0].message.clone();
        assert_eq!(told(folder.path()), "is a pipe or a device, and no file");
        assert!(told(Path::new("/dev/zero")).starts_with("is larger than the limit"));
    }

    #[test]
    fn a_text_that_is_no_object_is_refused() {
        let problem = parse("just words\n").problems[0].to_string();
        assert_eq!(
            problem,
            "deploy/shop.yaml:1: document 1: is not an object: a manifest begins with apiVersion and kind"
        );
    }

    #[test]
    fn a_problem_points_at_its_field() {
        let manifests = parse("---\nkind: A\nspec:\n  replicas: x\n");
        let problem = manifests.documents[0].origin.problem(Some("spec.replicas"), "is no number");
        assert_eq!(problem.to_string(), "deploy/shop.yaml:4: document 1: is no number");
    }

    #[test]
    fn folders_are_read_with_those_below_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("b.yaml"), "kind: B").unwrap();
        fs::write(folder.path().join("sub/c.json"), "{\"kind\": \"C\"}").unwrap();
        fs::write(folder.path().join("README.md"), "no manifest").unwrap();
        let manifests = Manifests::read(&[folder.path().to_owned()]);
        assert_eq!(manifests.documents.len(), 2);
        let missing = Manifests::read(&[folder.path().join("none.yaml")]);
        assert!(missing.problems[0].to_string().contains("none.yaml: cannot be read"), "{:?}", missing.problems);
    }

    #[test]
    fn lists_of_every_kind_are_read_also_within_each_other() {
        let manifests = parse(concat!(
            "apiVersion: v1\nkind: ConfigMapList\nmetadata: {resourceVersion: \"7\"}\nitems:\n",
            "- metadata: {name: a}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n---\n",
            "kind: List\nitems:\n- kind: DeploymentList\n  apiVersion: apps/v1\n  items: [{metadata: {name: c}}]\n",
            "- {kind: List, items: []}\n---\n{kind: PackingList, apiVersion: x/v1, metadata: {name: d}}\n"
        ));
        let read: Vec<_> = manifests
            .documents
            .iter()
            .map(|one| (one.object["kind"].as_str().unwrap(), one.object["metadata"]["name"].as_str().unwrap()))
            .collect();
        let all = [("ConfigMap", "a"), ("ConfigMap", "b"), ("Deployment", "c"), ("PackingList", "d")];
        assert_eq!(read, all);
        assert_eq!(manifests.documents[2].object["apiVersion"], "apps/v1");
        assert!(manifests.problems.is_empty());
    }

    #[test]
    fn what_a_server_printed_is_read_without_what_the_server_wrote() {
        let manifests = parse(concat!(
            "kind: A\nmetadata: {name: a, uid: u, resourceVersion: \"3\", creationTimestamp: null, generation: 2,\n",
            "  managedFields: [], labels: {x: z}, ownerReferences: []}\nspec: {a: 1}\nstatus: {b: 2}\n"
        ));
        let wanted = serde_json::json!({ "kind": "A", "spec": { "a": 1 },
            "metadata": { "name": "a", "labels": { "x": "z" }, "ownerReferences": [] } });
        assert_eq!(manifests.documents[0].object, wanted);
    }

    #[test]
    fn the_last_line_of_a_file_ends_though_nothing_ends_it() {
        let object = &parse("kind: A\ndata:\n  a: |\n    one").documents[0].object;
        assert_eq!(object["data"]["a"], "one\n");
    }

    #[test]
    fn a_key_given_twice_is_told_at_its_line() {
        let problems = parse("kind: A\ndata:\n  a: 1\n  a: 2\n").problems;
        assert!(problems[0].to_string().contains("duplicate field \"data.a\""), "{problems:?}");
    }

    #[test]
    fn merge_keys_line_ends_and_marks_are_read_as_kubectl_does() {
        let text = "\u{feff}---\r\n# nothing\r\n---\r\nkind: A\r\nx: &x {a: 1}\r\nz: {<<: *x, b: 2}\r\n...\r\n---\r\n";
        let manifests = parse(text);
        assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
        assert_eq!(manifests.documents[0].object["z"], serde_json::json!({ "a": 1, "b": 2 }));
        assert_eq!(manifests.documents.len(), 1);
    }
}
