use std::path::Path;

use anyhow::{Context, anyhow};
use registry_client::{Description, ImageError, ImageStore, describe};
use serde_json::json;

use crate::{
    build::read_component,
    errors::HintExt,
    output::{OutputArgs, Shown},
    paths::DataDirArgs,
    size::human_bytes,
};

/// Show what a component imports, exports and needs
///
/// Nothing is run, and no server is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan inspect service.wasm                A file
  sampan inspect hello:dev                   An image of the local store
  sampan inspect hello:dev -o json           For programs")]
pub(crate) struct Inspect {
    /// A component, or the name of an image
    #[arg(value_name = "FILE|IMAGE")]
    what: String,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    data: DataDirArgs,
}

impl Inspect {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let bytes = self.bytes()?;
        let described = describe(&bytes).with_context(|| format!("{} cannot be run", self.what))?;
        let refused = runtime::refuse_imports(&described.info.imports, described.language);
        let whole = as_json(&described, refused.as_deref());
        let shown = Shown { what: "a component", whole: &whole, names: None };
        self.output.show_lines(&shown, || vec![as_text(&described, refused.as_deref())])
    }

    fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let (what, file) = (&self.what, Path::new(&self.what));
        if file.exists() && !file.is_dir() {
            return read_component(file);
        }
        let images = ImageStore::open(self.data.claim()?.images())?;
        match images.resolve(what) {
            Ok(digest) => Ok(images.component(&digest)?.bytes.to_vec()),
            Err(_) if file.is_dir() => Err(anyhow!("{what} is a folder"))
                .hint(format!("`sampan build {what}` builds what is in it: inspect the image that it names")),
            Err(ImageError::InvalidReference { .. }) => Err(anyhow!("there is no file {what}"))
                .hint("name a file that is there, or an image of `sampan images`"),
            Err(error @ (ImageError::NotFound { .. } | ImageError::DigestNotFound { .. })) => Err(error)
                .with_context(|| format!("there is neither a file {what} nor an image of that name"))
                .hint("name a file, or an image of `sampan images`"),
            Err(error) => Err(error.into()),
        }
    }
}

fn as_text(described: &Description, refused: Option<&str>) -> String {
    let language = described.language.map_or("not told by it (stripped?)".to_owned(), |language| language.to_string());
    let mut lines = vec![
        format!("language         {language}"),
        format!("size             {}", human_bytes(described.size_bytes)),
        format!("initial memory   {}", human_bytes(described.initial_memory_bytes)),
    ];
    for (title, names) in [("exports", &described.info.exports), ("imports", &described.info.imports)] {
        lines.push(format!("{title}{}", if names.is_empty() { "          none" } else { "" }));
        lines.extend(names.iter().map(|name| format!("  {name}")));
    }
    let grants = runtime::grants_for(&described.info.imports);
    if !grants.is_empty() {
        lines.push("to grant, by annotations of the pod template".to_owned());
        lines.extend(grants.iter().map(|(annotation, what)| format!("  {annotation}: {what}")));
    }
    lines.extend(described.missing_export().map(|export| format!("does not run: it does not export `{export}`")));
    lines.extend(refused.map(|refused| format!("does not run: it imports {refused}")));
    lines.join("\n")
}

fn as_json(described: &Description, refused: Option<&str>) -> serde_json::Value {
    let grants = runtime::grants_for(&described.info.imports);
    let grants: Vec<_> =
        grants.iter().map(|(annotation, what)| json!({"annotation": annotation, "what": what})).collect();
    json!({
        "language": described.language.map(|language| language.to_string()),
        "sizeBytes": described.size_bytes,
        "initialMemoryBytes": described.initial_memory_bytes,
        "exports": described.info.exports,
        "imports": described.info.imports,
        "grants": grants,
        "missingExport": described.missing_export(),
        "refusedImports": refused,
    })
}
