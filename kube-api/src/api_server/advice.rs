//! What the writer of an object should know though it is right: what changes nothing, and what depends on other objects.

use serde_json::Value;

use crate::{
    fields::honoured::Warning,
    resources::{ALL, Resource, Scope, autoscaler_warnings, hints},
};

use super::{error::ApiError, objects::Objects, path::Target, strictness::Strictness, versions::in_stored_form};

/// Warnings of one answer: each is a header, of which clients take few kilobytes.
const MAX_WARNINGS: usize = 24;
/// Warnings that are compared with those of before.
const MAX_COMPARED_WARNINGS: usize = 500;
/// Owners that are looked up for the writer of an object that names them.
const MAX_OWNERS: usize = 32;
/// Ingresses that one is compared with when it is written. Beyond that its event tells alone.
const MAX_COMPARED: usize = 500;

impl Objects {
    /// Tells the writer of an object what he should know of it, each sentence as a `Warning`. Of what stood there before, as it
    /// is, he was told when it was written.
    pub(super) async fn advise(&self, resource: &Resource, new: &Value, old: Option<&Value>, strictness: &Strictness) {
        let mut said = self.advice(resource, new).await;
        said.truncate(MAX_COMPARED_WARNINGS);
        if let Some(old) = old {
            let mut known = self.advice(resource, old).await;
            known.truncate(MAX_COMPARED_WARNINGS);
            said.retain(|one| !known.contains(one));
        }
        let mut warnings: Vec<_> = said.into_iter().map(|advice| advice.sentence).collect();
        let left = warnings.len().saturating_sub(MAX_WARNINGS);
        warnings.truncate(MAX_WARNINGS);
        warnings.extend((left > 0).then(|| format!("{left} further fields change nothing either")));
        warnings.into_iter().for_each(|warning| strictness.warn(warning));
    }

    async fn advice(&self, resource: &Resource, object: &Value) -> Vec<Warning> {
        let mut advice = if resource.view.is_none() { resource.warnings(object) } else { Vec::new() };
        advice.extend(hints(resource, object));
        let others =
            self.owners_warnings(object).await.into_iter().chain(self.autoscaler_warnings(resource, object).await);
        let others = others.chain(self.taken_paths(resource, object).await);
        let others = others.chain(self.account_warning(object).await);
        advice.extend(others.map(|sentence| Warning { sentence, value: Value::Null }));
        advice
    }

    /// What becomes of an object whose owners cannot be found as they are written.
    async fn owners_warnings(&self, object: &Value) -> Vec<String> {
        let namespace = object["metadata"]["namespace"].as_str();
        let owners = object["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
        let (mut found, mut warnings, mut missing) = (false, Vec::new(), Vec::new());
        for owner in owners.iter().take(MAX_OWNERS) {
            let text = |field: &str| owner[field].as_str().unwrap_or_default();
            let (kind, version, name) = (text("kind"), text("apiVersion"), text("name"));
            let group = version.split_once('/').map_or("", |(group, _)| group);
            let Some(resource) = ALL.iter().find(|resource| resource.kind == kind && resource.group == group) else {
                found = true;
                warnings
                    .push(format!("{kind} in {version} is not served here, so this object stays when its owner goes"));
                continue;
            };
            let namespace = match (resource.scope, namespace) {
                (Scope::Cluster, _) => None,
                (Scope::Namespaced, Some(namespace)) => Some(namespace.to_owned()),
                (Scope::Namespaced, None) => {
                    found = true;
                    warnings.push(format!(
                        "{kind} {name} is in a namespace, and this object in none: it stays when its owner goes"
                    ));
                    continue;
                }
            };
            let target = Target { resource, namespace, name: Some(name.to_owned()), subresource: None };
            match self.get(&target).await {
                Ok(stored) if stored.object["metadata"]["uid"] == text("uid") => found = true,
                Ok(_) | Err(ApiError::NotFound { .. }) => {
                    let place = target.namespace.as_ref().map(|namespace| format!(" in namespace {namespace}"));
                    missing.push(format!("there is no {kind} {name} with this uid{}", place.unwrap_or_default()));
                }
                Err(_) => found = true,
            }
        }
        let fate = if found { "" } else { ", and no other owner: this object is deleted at once" };
        warnings.extend(missing.into_iter().map(|missing| format!("{missing}{fate}")));
        warnings.into_iter().map(|warning| format!("metadata.ownerReferences: {warning}")).collect()
    }

    /// That an account which Pods are to have is not there: here they run, and in Kubernetes they would not be made.
    async fn account_warning(&self, object: &Value) -> Option<String> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (namespace, name) = (text("/metadata/namespace")?, text("/spec/template/spec/serviceAccountName")?);
        let target = Target::parse(&format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}")).ok()?;
        match self.get(&target).await {
            Err(ApiError::NotFound { .. }) => Some(format!(
                "spec.template.spec.serviceAccountName: there is no ServiceAccount {name} in namespace {namespace}: Kubernetes \
                 would make no Pods before there is one"
            )),
            _ => None,
        }
    }

    /// What of an Ingress another one takes, or it of another one.
    async fn taken_paths(&self, resource: &Resource, object: &Value) -> Vec<String> {
        if resource.kind != "Ingress" {
            return Vec::new();
        }
        let Ok(all) = Target::parse("/apis/networking.k8s.io/v1/ingresses") else { return Vec::new() };
        let Ok(others) = self.some(&all, MAX_COMPARED).await else { return Vec::new() };
        (self.taken_paths)(&others, object)
    }

    async fn autoscaler_warnings(&self, resource: &Resource, object: &Value) -> Vec<String> {
        if resource.kind != "HorizontalPodAutoscaler" {
            return Vec::new();
        }
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (namespace, name) = (text("/metadata/namespace"), text("/spec/scaleTargetRef/name"));
        let Ok(target) = Target::parse(&format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}")) else {
            return Vec::new();
        };
        let deployment = self.get(&target).await.ok().map(|stored| stored.object);
        autoscaler_warnings(&in_stored_form(resource, object), deployment.as_ref())
    }
}
