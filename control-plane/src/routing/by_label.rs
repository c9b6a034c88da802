use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
};

use api::ObjectKey;

/// Objects of a namespace by one of their labels, so that who is selected is found without looking at all. It keeps a hash of
/// each label: the objects that it finds are those with the label, and hardly ever another.
#[derive(Debug, Default)]
pub(crate) struct ByLabel {
    objects: BTreeSet<(u64, ObjectKey)>,
    hashes: RandomState,
}

impl ByLabel {
    pub(crate) fn insert(&mut self, object: &ObjectKey, label: (&str, &str)) {
        self.objects.insert((self.hash(object, label), object.clone()));
    }

    pub(crate) fn remove(&mut self, object: &ObjectKey, label: (&str, &str)) {
        self.objects.remove(&(self.hash(object, label), object.clone()));
    }

    /// Those of the namespace of `beside` that may have this label: whether they have it is for the caller to see.
    pub(crate) fn with<'a>(
        &'a self,
        beside: &'a ObjectKey,
        label: (&str, &str),
    ) -> impl Iterator<Item = &'a ObjectKey> + use<'a> {
        let hash = self.hash(beside, label);
        let first = (hash, ObjectKey::new("", ""));
        let found = self.objects.range(first..).take_while(move |(other, _)| *other == hash).map(|(_, object)| object);
        found.filter(|object| object.namespace == beside.namespace)
    }

    fn hash(&self, beside: &ObjectKey, (key, value): (&str, &str)) -> u64 {
        self.hashes.hash_one((&*beside.namespace, key, value))
    }
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
