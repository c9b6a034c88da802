//! The manifests of a project that names none: a Deployment and a Service for its component, as a user would write them down.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};

use crate::{
    build::{Component, PROJECT_FILE, Project, Recipe},
    errors::HintExt,
    paths::stays_within,
    umask,
};

/// Where they are written, below the project's folder.
const FOLDER: &str = "deploy";

/// The manifests, in one text for each component. Of several, each is named after its component; a single one after the project.
pub(super) fn generated(project: &Project) -> Vec<(String, String)> {
    let name = |component: &Component| match project.components.as_slice() {
        [_] => project.name.clone(),
        _ => component.name.clone(),
    };
    project.components.iter().map(|one| (name(one), text(&name(one), &one.image))).collect()
}

/// What a write of them made.
pub(crate) struct Written {
    /// New files, and the project's own if it has changed.
    pub(crate) files: Vec<PathBuf>,
    /// What is still to be done by hand.
    pub(crate) left: Option<String>,
}

/// Writes them below the project's folder, and names them in its file, which is made if there is none.
///
/// # Errors
/// The project names manifests already, or a file is there. Then nothing is written.
pub(crate) fn write_manifests(project: &Project) -> anyhow::Result<Written> {
    if !project.manifests.is_empty() {
        return Err(anyhow!("{PROJECT_FILE} names manifests already, and none is overwritten"))
            .hint("edit those, or take `manifests` out of it first");
    }
    if project.components.is_empty() {
        return Err(anyhow!("{PROJECT_FILE} names no component that a manifest could be for"));
    }
    let folder = project.root.join(FOLDER);
    let texts: Vec<(PathBuf, String)> =
        generated(project).into_iter().map(|(name, text)| (folder.join(format!("{name}.yaml")), text)).collect();
    if let Some((there, _)) = texts.iter().find(|(file, _)| fs::symlink_metadata(file).is_ok()) {
        return Err(anyhow!("{} is there already, and nothing is overwritten", there.display()))
            .hint(format!("name it in {PROJECT_FILE} with `manifests = [\"{FOLDER}\"]`, or move it away"));
    }
    let project_file = project.root.join(PROJECT_FILE);
    [&folder, &project_file].into_iter().try_for_each(|path| check_within(project, path))?;
    umask::create_folders_for_user(&folder)
        .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    let mut files = Vec::new();
    for (file, text) in texts {
        write_new(&file, &text)?;
        files.push(file);
    }
    match fs::read_to_string(&project_file) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            write_new(&project_file, &project_text(project))?;
            files.push(project_file);
        }
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", project_file.display())),
        Ok(before) => match named_in(&before) {
            Some(after) => {
                fs::write(&project_file, after)
                    .with_context(|| format!("{} cannot be written", project_file.display()))?;
                files.push(project_file);
            }
            None => {
                let left = format!("write `manifests = [\"{FOLDER}\"]` under [app] in {PROJECT_FILE}");
                return Ok(Written { files, left: Some(left) });
            }
        },
    }
    Ok(Written { files, left: None })
}

/// Refuses a symbolic link that leads out of the project: whoever wrote the project could have had any file written to.
fn check_within(project: &Project, path: &Path) -> anyhow::Result<()> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink());
    if is_link && !stays_within(path, &[&project.root]) {
        return Err(anyhow!("{} is a symbolic link that leads out of the project", path.display()))
            .hint("nothing was written; put the file or folder itself there");
    }
    Ok(())
}

fn write_new(file: &Path, text: &str) -> anyhow::Result<()> {
    umask::write_new_for_user(file, text.as_bytes()).with_context(|| format!("{} cannot be written", file.display()))
}

/// A project's file with the manifests named in it; `None`: it is written in another way than most are.
fn named_in(text: &str) -> Option<String> {
    let at = text.lines().position(|line| line.trim() == "[app]")?;
    let mut lines: Vec<&str> = text.lines().collect();
    let line = format!("manifests = [\"{FOLDER}\"]");
    // After the name, where that comes first.
    let after = lines.get(at + 1).filter(|line| line.trim_start().starts_with("name")).map_or(at + 1, |_| at + 2);
    lines.insert(after, &line);
    let after = lines.join("\n") + "\n";
    let named = toml::from_str::<toml::Table>(&after).ok()?.get("app")?.get("manifests").is_some();
    named.then_some(after)
}

/// The file of a project that had none.
fn project_text(project: &Project) -> String {
    let mut text = format!(
        "# What `sampan dev` and `sampan build` do here.\n\n[app]\nname = \"{}\"\nmanifests = [\"{FOLDER}\"]\n",
        project.name
    );
    for component in &project.components {
        let how = match &component.recipe {
            Recipe::Cargo => "path = \".\"".to_owned(),
            Recipe::Command { line, artifact } => {
                format!("command = {}\nartifact = {}", quoted(line), quoted(&below(project, artifact)))
            }
            Recipe::Made { artifact } => {
                format!(
                    "# Made by something else: a new one is rolled out.\nartifact = {}",
                    quoted(&below(project, artifact))
                )
            }
        };
        text.push_str(&format!("\n[component.{}]\nimage = \"{}\"\n{how}\n", component.name, component.image));
    }
    text
}

fn below(project: &Project, file: &Path) -> String {
    file.strip_prefix(&project.root).unwrap_or(file).display().to_string()
}

/// What JSON writes of a text is one of TOML too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn text(name: &str, image: &str) -> String {
    format!(
        r#"# The Deployment says what runs, and how much of it. `kubectl apply -f {FOLDER}/` and `sampan apply -f {FOLDER}/` take it too,
# once `sampan build` has put the image into the local store.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  # annotations:
  #   sampan.dev/scale: "0..10"      # as many replicas as its traffic needs, in place of `replicas`
spec:
  replicas: 1
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
      # What it may reach; nothing, unless it is named here.
      # annotations:
      #   sampan.dev/key-value: default           # stores of wasi:keyvalue
      #   sampan.dev/outbound: api.example.com    # hosts and Services that it calls
    spec:
      containers:
        - name: {name}
          image: {image}
          ports:
            - containerPort: 80
          # env:                     # its environment, and wasi:config
          #   - name: GREETING
          #     value: Hello
          # resources:
          #   limits:
          #     memory: 256Mi
---
# The Service is its name for others: http://{name}.default.localhost:8080/ on this machine, http://{name} for guests.
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector:
    app: {name}
  ports:
    - port: 80
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::manifest::Manifests;

    fn project(folder: &Path, file: Option<&str>) -> Project {
        fs::write(folder.join("Cargo.toml"), "[package]\nname = \"my_shop\"\n").unwrap();
        if let Some(text) = file {
            fs::write(folder.join(PROJECT_FILE), text).unwrap();
        }
        Project::find(folder).unwrap()
    }

    #[test]
    fn a_package_alone_is_a_deployment_and_a_service_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let project = project(folder.path(), None);
        let made = generated(&project);
        let mut manifests = Manifests::default();
        manifests.parse("made", &made[0].1);
        let kinds: Vec<_> = manifests.documents.iter().map(|one| one.object["kind"].as_str().unwrap()).collect();
        assert_eq!((made[0].0.as_str(), kinds), ("my-shop", vec!["Deployment", "Service"]));
        assert!(manifests.problems.is_empty());
    }

    #[test]
    fn what_is_written_is_the_same_project_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let before = project(folder.path(), None);
        let written = write_manifests(&before).unwrap();
        assert_eq!((written.files.len(), written.left), (2, None));
        let after = Project::find(folder.path()).unwrap();
        assert_eq!((after.name.as_str(), &after.components), (before.name.as_str(), &before.components));
        assert_eq!(after.manifests, [before.root.join(FOLDER)]);
        assert!(write_manifests(&after).err().unwrap().to_string().contains("names manifests already"));
        fs::remove_file(folder.path().join(PROJECT_FILE)).unwrap();
        let again = write_manifests(&before).err().unwrap().to_string();
        assert!(again.contains("deploy/my-shop.yaml is there already"), "{again}");
    }

    #[test]
    fn nothing_is_written_where_a_link_leads_out_of_the_project() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("project"), folder.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        let before = project(&root, None);
        std::os::unix::fs::symlink(&outside, root.join(FOLDER)).unwrap();
        let said = write_manifests(&before).err().unwrap().to_string();
        assert!(said.contains("leads out of the project") && said.contains("/deploy"), "{said}");
        fs::remove_file(root.join(FOLDER)).unwrap();
        let theirs = outside.join("theirs.toml");
        fs::write(&theirs, "[app]\nname = \"shop\"\n").unwrap();
        std::os::unix::fs::symlink(&theirs, root.join(PROJECT_FILE)).unwrap();
        let said = write_manifests(&before).err().unwrap().to_string();
        assert!(said.contains("leads out of the project") && said.contains(PROJECT_FILE), "{said}");
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "[app]\nname = \"shop\"\n");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert!(!root.join(FOLDER).exists());
    }

    #[test]
    fn a_project_file_keeps_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let text = "# Mine.\n[app]\nname = \"shop\" # the shop\n\n[component.a]\nimage = \"a:dev\"\npath = \".\"\n";
        let project = project(folder.path(), Some(text));
        write_manifests(&project).unwrap();
        let after = fs::read_to_string(folder.path().join(PROJECT_FILE)).unwrap();
        assert_eq!(after, text.replace("# the shop\n", "# the shop\nmanifests = [\"deploy\"]\n"));
        assert!(named_in("app = { name = \"shop\" }\n").is_none());
    }
}
