use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use api::ObjectKey;

/// Objects of a namespace by one of their labels, so that who is selected is found without looking at all.
#[derive(Debug, Default)]
pub(crate) struct ByLabel {
    keys: HashMap<Label, BTreeSet<ObjectKey>>,
}

/// A namespace, a label's key, and its value.
type Label = (Arc<str>, Box<str>, Box<str>);

impl ByLabel {
    pub(crate) fn insert(&mut self, object: &ObjectKey, (key, value): (&str, &str)) {
        self.keys.entry(label(object, key, value)).or_default().insert(object.clone());
    }

    pub(crate) fn remove(&mut self, object: &ObjectKey, (key, value): (&str, &str)) {
        let label = label(object, key, value);
        let Some(objects) = self.keys.get_mut(&label) else { return };
        objects.remove(object);
        if objects.is_empty() {
            self.keys.remove(&label);
        }
    }

    /// Those of the namespace of `beside` that have this label.
    pub(crate) fn with(&self, beside: &ObjectKey, (key, value): (&str, &str)) -> impl Iterator<Item = &ObjectKey> {
        self.keys.get(&label(beside, key, value)).into_iter().flatten()
    }
}

fn label(object: &ObjectKey, key: &str, value: &str) -> Label {
    (object.namespace.clone(), key.into(), value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_by_their_labels_within_a_namespace() {
        let (mut index, here, there) =
            (ByLabel::default(), ObjectKey::new("here", "one"), ObjectKey::new("there", "two"));
        index.insert(&here, ("app", "cart"));
        index.insert(&there, ("app", "cart"));
        assert_eq!(index.with(&ObjectKey::new("here", "any"), ("app", "cart")).collect::<Vec<_>>(), [&here]);
        assert_eq!(index.with(&here, ("app", "shop")).count(), 0);
        index.remove(&here, ("app", "cart"));
        assert_eq!(index.with(&here, ("app", "cart")).count(), 0);
    }
}
