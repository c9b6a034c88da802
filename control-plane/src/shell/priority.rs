//! What PriorityClasses come to for the templates that name them, or name none.

use std::sync::Arc;

use scheduler::{Priority, Template};
use serde_json::{Value, json};

/// The PriorityClasses that there are.
pub(super) trait Classes {
    /// The class of this name.
    fn class(&self, name: &str) -> Option<Value>;
    /// All of them.
    fn all_classes(&self) -> Vec<Value>;
}

/// A template with the priority that holds for it now. Revisions keep it, so that a class that changes changes only what
/// comes later.
pub(super) fn resolved(mut template: Arc<Template>, classes: &dyn Classes) -> Arc<Template> {
    let priority = match &template.priority.class {
        Some(name) => classes.class(name).as_ref().map(read),
        None => default_of(classes),
    };
    match priority {
        Some(priority) => Arc::make_mut(&mut template).priority = priority,
        // It was there when the template was accepted.
        None if template.priority.class.is_some() => {
            tracing::warn!(class = ?template.priority.class, "a PriorityClass is gone: what names it has priority 0");
        }
        None => {}
    }
    template
}

/// Of several that others were too fast to refuse, the lowest, as in Kubernetes.
fn default_of(classes: &dyn Classes) -> Option<Priority> {
    let all = classes.all_classes();
    let defaults = all.iter().filter(|class| class["globalDefault"] == true);
    defaults.min_by_key(|class| class["value"].as_i64()).map(read)
}

fn read(class: &Value) -> Priority {
    Priority {
        class: class["metadata"]["name"].as_str().map(str::to_owned),
        value: class["value"].as_i64().and_then(|value| i32::try_from(value).ok()).unwrap_or(0),
        preempts: class["preemptionPolicy"] != "Never",
    }
}

/// A revision's priority, as its ReplicaSet notes it; `None`: none has been noted, or it is of another class.
pub(super) fn noted(annotation: &Value, template: &Template) -> Option<Priority> {
    let noted: Value = serde_json::from_str(annotation.as_str()?).ok()?;
    let class = noted["class"].as_str().map(str::to_owned);
    let names_it = template.priority.class.is_none() || template.priority.class == class;
    let value = i32::try_from(noted["value"].as_i64()?).ok()?;
    names_it.then_some(Priority { class, value, preempts: noted["policy"] != "Never" })
}

/// What [`noted`] reads.
pub(super) fn note(priority: &Priority) -> String {
    json!({ "class": priority.class, "value": priority.value, "policy": priority.policy() }).to_string()
}
