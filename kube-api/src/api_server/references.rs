//! What of an object depends on others: that a PriorityClass is there, and that only one is everybody's.

use serde_json::Value;

use crate::resources::{FieldError, is_system_class};

use super::{error::ApiError, objects::Objects, path::Target, selector::Selector};

const PRIORITY_CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";

impl Objects {
    /// Refuses what refers to objects that are not there. What was right when it was written, and has not changed, stays right.
    pub(super) async fn check_references(
        &self,
        target: &Target,
        new: &Value,
        old: Option<&Value>,
    ) -> Result<(), ApiError> {
        match target.resource.kind {
            "Deployment" | "ReplicaSet" => self.check_priority_class(target, new, old).await,
            "PriorityClass" => self.check_default_class(target, new).await,
            _ => Ok(()),
        }
    }

    /// A class that was deleted since holds up nothing but new templates, as in Kubernetes.
    async fn check_priority_class(&self, target: &Target, new: &Value, old: Option<&Value>) -> Result<(), ApiError> {
        const FIELD: &str = "spec.template.spec.priorityClassName";
        let Some(name) = new["spec"]["template"]["spec"]["priorityClassName"].as_str().filter(|name| !name.is_empty())
        else {
            return Ok(());
        };
        if old.is_some_and(|old| old["spec"]["template"] == new["spec"]["template"]) {
            return Ok(());
        }
        match self.get(&Target::parse(PRIORITY_CLASSES)?.named(name)).await {
            Ok(_) => Ok(()),
            Err(ApiError::NotFound { .. }) => {
                let message =
                    format!("no PriorityClass with name {name} was found: `kubectl get priorityclasses` lists them");
                let errors = vec![FieldError::invalid(FIELD, message)];
                Err(target.invalid(errors))
            }
            Err(error) => Err(error),
        }
    }

    async fn check_default_class(&self, target: &Target, new: &Value) -> Result<(), ApiError> {
        if new["globalDefault"] != true {
            return Ok(());
        }
        let all = self.list_all(&Target::parse(PRIORITY_CLASSES)?, &Selector::default()).await?.objects()?;
        let name = |class: &Value| class["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let other = all.iter().find(|class| class["globalDefault"] == true && name(class) != target.name());
        let Some(other) = other.map(name) else { return Ok(()) };
        let why = format!("PriorityClass {other} is already marked as default. Only one default can exist");
        Err(ApiError::Forbidden { resource: target.resource, name: target.name().to_owned(), why })
    }
}

/// Classes that exist in every installation are not deleted, as in Kubernetes.
pub(super) fn check_deletion(target: &Target) -> Result<(), ApiError> {
    if target.resource.kind == "PriorityClass" && is_system_class(target.name()) {
        let why = "this is a system priority class and cannot be deleted".to_owned();
        return Err(ApiError::Forbidden { resource: target.resource, name: target.name().to_owned(), why });
    }
    Ok(())
}
