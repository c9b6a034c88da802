//! Create-or-patch, for `sampan apply` and `sampan dev`.

use std::{collections::HashSet, fmt};

use anyhow::Context;
use http::{Method, Request, header::CONTENT_TYPE};
use serde_json::Value;

use super::{
    connection::{Connection, Refusal, refusal_code},
    kinds::{Kind, Kinds},
    manifest::{Document, Origin, Problem},
    patch::{last_applied, record_last_applied, three_way},
};

/// The name under which changes are made.
pub(crate) const FIELD_MANAGER: &str = "sampan";

/// How often an object that somebody else changes at the same time is tried again.
const MAX_CONFLICTS: usize = 5;

/// An object that is ready to be applied: its kind is known and it has a name.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) object: Value,
    pub(crate) origin: Origin,
}

/// What applying an object did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Created,
    Configured,
    Unchanged,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        })
    }
}

/// Whether a change is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The server checks it and says what would come of it.
    DryRun,
    /// It is carried out.
    Commit,
}

impl Mode {
    fn query(self) -> String {
        let dry_run = if self == Self::DryRun { "&dryRun=All" } else { "" };
        format!("?fieldManager={FIELD_MANAGER}&fieldValidation=Strict{dry_run}")
    }
}

/// Finds kind, namespace and name of each document, in the order in which they are to be applied:
/// namespaces first, then what Deployments refer to, else as they were read.
pub(crate) fn plan(documents: Vec<Document>, kinds: &Kinds, namespace: &str) -> Result<Vec<Planned>, Vec<Problem>> {
    let (mut planned, mut problems, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for document in documents {
        match plan_one(document, kinds, namespace) {
            Ok(one) if seen.insert(one.path()) => planned.push(one),
            Ok(one) => problems.push(
                one.origin
                    .problem(Some("metadata.name"), format!("{} is in the manifests twice", one.kind.label(&one.name))),
            ),
            Err(problem) => problems.push(problem),
        }
    }
    planned.sort_by_key(|one| match one.kind.kind.as_str() {
        "Namespace" => 0,
        "ConfigMap" | "Secret" | "PriorityClass" => 1,
        _ => 2,
    });
    if problems.is_empty() { Ok(planned) } else { Err(problems) }
}

fn plan_one(document: Document, kinds: &Kinds, default_namespace: &str) -> Result<Planned, Problem> {
    let Document { origin, mut object } = document;
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let missing = |field: &str| origin.problem(Some(field), format!("{field} is missing"));
    let kind = text("/kind").ok_or_else(|| missing("kind"))?;
    let api_version = text("/apiVersion").ok_or_else(|| missing("apiVersion"))?;
    let kind = kinds.of_manifest(&api_version, &kind).map_err(|why| origin.problem(Some("kind"), why))?.clone();
    let name = text("/metadata/name").ok_or_else(|| missing("metadata.name"))?;
    let namespace =
        kind.namespaced.then(|| text("/metadata/namespace").unwrap_or_else(|| default_namespace.to_owned()));
    if let Some(namespace) = &namespace {
        object["metadata"]["namespace"] = Value::String(namespace.clone());
    }
    Ok(Planned { kind, namespace, name, object, origin })
}

impl Planned {
    /// Where the object is in the API.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }

    fn collection(&self) -> String {
        self.kind.path(self.namespace.as_deref())
    }

    /// Creates or patches the object. Returns what was done and what the object is now.
    pub(crate) async fn apply(&self, connection: &Connection, mode: Mode) -> anyhow::Result<(Outcome, Value)> {
        for _ in 1..MAX_CONFLICTS {
            match self.try_apply(connection, mode).await {
                // Somebody created or changed it between our reading and our writing.
                Err(error) if refusal_code(&error) == Some(409) => {}
                result => return result,
            }
        }
        self.try_apply(connection, mode).await
    }

    async fn try_apply(&self, connection: &Connection, mode: Mode) -> anyhow::Result<(Outcome, Value)> {
        let mut wanted = self.object.clone();
        record_last_applied(&mut wanted);
        let read = Request::get(self.path()).body(Vec::new())?;
        let Some(live) = connection.send_optional::<Value>(read).await? else {
            let created = connection.send(self.create(&wanted, mode)?).await?;
            return Ok((Outcome::Created, created));
        };
        let Some(patch) = three_way(last_applied(&live).as_ref(), &wanted, &live) else {
            return Ok((Outcome::Unchanged, live));
        };
        let patched: Value = connection.send(self.patch(&patch, mode)?).await?;
        let same = patched["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"];
        Ok((if same && mode == Mode::Commit { Outcome::Unchanged } else { Outcome::Configured }, patched))
    }

    fn create(&self, object: &Value, mode: Mode) -> anyhow::Result<Request<Vec<u8>>> {
        let uri = format!("{}{}", self.collection(), mode.query());
        request(Method::POST, uri, "application/json", object)
    }

    fn patch(&self, patch: &Value, mode: Mode) -> anyhow::Result<Request<Vec<u8>>> {
        request(Method::PATCH, format!("{}{}", self.path(), mode.query()), "application/merge-patch+json", patch)
    }

    /// What is wrong with the object as the server sees it, each at its line; a failure of another sort as it is.
    fn refused(&self, error: anyhow::Error) -> anyhow::Result<Vec<Problem>> {
        let Some(Refusal(status)) = error.downcast_ref::<Refusal>() else { return Err(error) };
        let label = self.kind.label(&self.name);
        let causes = status.details.iter().flat_map(|details| &details.causes).filter(|cause| !cause.field.is_empty());
        let mut problems: Vec<Problem> = causes
            .map(|cause| {
                let message = format!("{label}: {}: {}", cause.field, cause.message);
                self.origin.problem(Some(&cause.field), message)
            })
            .collect();
        if problems.is_empty() {
            problems.push(self.origin.problem(None, format!("{label}: {error}")));
        }
        Ok(problems)
    }
}

/// Has the server check every object before any is applied. Objects in a namespace, or of a PriorityClass, that is itself
/// yet to be created cannot be checked so; they are skipped.
pub(crate) async fn check_all(connection: &Connection, planned: &[Planned]) -> anyhow::Result<Vec<Problem>> {
    let planned_of = |kind: &str| -> HashSet<&str> {
        planned.iter().filter(|one| one.kind.kind == kind).map(|one| one.name.as_str()).collect()
    };
    let (namespaces, classes) = (planned_of("Namespace"), planned_of("PriorityClass"));
    let mut problems = Vec::new();
    for one in planned {
        let in_new = one.namespace.as_deref().is_some_and(|namespace| namespaces.contains(namespace));
        let class = one.object.pointer("/spec/template/spec/priorityClassName").and_then(Value::as_str);
        if in_new || class.is_some_and(|class| classes.contains(class)) {
            continue;
        }
        if let Err(error) = one.apply(connection, Mode::DryRun).await {
            problems.extend(one.refused(error)?);
        }
    }
    Ok(problems)
}

/// Applies one object; a refusal becomes problems at its lines.
pub(crate) async fn apply_one(
    connection: &Connection,
    planned: &Planned,
    mode: Mode,
) -> anyhow::Result<Result<(Outcome, Value), Vec<Problem>>> {
    match planned.apply(connection, mode).await {
        Ok(done) => Ok(Ok(done)),
        Err(error) => Ok(Err(planned.refused(error)?)),
    }
}

/// A request with a JSON body of this type.
pub(crate) fn request(method: Method, uri: String, kind: &str, body: &Value) -> anyhow::Result<Request<Vec<u8>>> {
    let body = serde_json::to_vec(body)?;
    Request::builder().method(method).uri(uri).header(CONTENT_TYPE, kind).body(body).context("the name cannot be used")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{kinds::tests::kind, manifest::Manifests};

    fn plan_text(text: &str) -> Result<Vec<Planned>, Vec<String>> {
        let kinds = Kinds::from(vec![
            kind("", "v1", "ConfigMap", "cm"),
            kind("", "v1", "Namespace", "ns"),
            kind("apps", "v1", "Deployment", "deploy"),
        ]);
        let mut manifests = Manifests::default();
        manifests.parse("a.yaml", text);
        plan(manifests.documents, &kinds, "default").map_err(|all| all.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn objects_get_their_namespace_and_namespaces_come_first() {
        let planned = plan_text(concat!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n---\n",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n"
        ));
        let paths: Vec<_> = planned.unwrap().iter().map(Planned::path).collect();
        assert_eq!(paths, ["/api/v1/namespaces/b", "/apis/apps/v1/namespaces/default/deployments/a"]);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let problems = plan_text(concat!(
            "apiVersion: apps/v1\nkind: deployment\nmetadata: {name: a}\n---\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n---\nkind: ConfigMap\n"
        ));
        assert_eq!(
            problems.unwrap_err(),
            [
                "a.yaml:2: document 1: unknown kind `deployment`: did you mean `Deployment`?",
                "a.yaml:7: document 2: metadata.name is missing",
                "a.yaml:9: document 3: apiVersion is missing",
            ]
        );
    }

    #[test]
    fn an_object_that_is_there_twice_is_refused() {
        let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n".repeat(2);
        assert_eq!(plan_text(&twice).unwrap_err(), ["a.yaml:7: document 2: configmap/a is in the manifests twice"]);
    }
}
