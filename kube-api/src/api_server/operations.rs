//! The operations of a JSON patch (RFC 6902), within bounds: of operations and copied bytes those of Kubernetes, and of work,
//! since a short operation may move a long list.

use json_patch::{PatchOperation, jsonptr::Pointer};
use serde_json::Value;

use crate::notation::MAX_DEPTH;

use super::error::ApiError;

/// Operations of one patch, as in Kubernetes.
pub(super) const MAX_OPERATIONS: usize = 10_000;
/// What all `copy` of a patch together may add, as JSON. As in Kubernetes.
pub(super) const MAX_COPIED_BYTES: usize = 3 << 20;
/// Elements of lists that move aside, and values that are looked at, in all operations of a patch together.
pub(super) const MAX_STEPS: usize = 16 << 20;

/// What changes an object, one after the other.
#[derive(Debug)]
pub(super) struct Operations(Vec<PatchOperation>);

/// Why operations were not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum OperationError {
    #[error("{0}")]
    Failed(json_patch::PatchError),
    #[error(
        "Unable to complete the copy, the accumulated size increase of copy is {0}, exceeding the limit {MAX_COPIED_BYTES}"
    )]
    Copies(usize),
    #[error("the operations move more than {MAX_STEPS} elements of lists: send several patches, or the whole list")]
    Steps,
    #[error("operation '/{0}' would nest the object deeper than {MAX_DEPTH} levels")]
    Depth(usize),
}

impl Operations {
    /// Reads a JSON patch. More operations than [`MAX_OPERATIONS`] are refused, as in Kubernetes.
    pub(super) fn of(patch: Value) -> Result<Self, ApiError> {
        if let Some(count) = patch.as_array().map(Vec::len).filter(|count| *count > MAX_OPERATIONS) {
            let why = format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {count}");
            return Err(ApiError::TooLarge { why });
        }
        let operations = serde_json::from_value(patch);
        operations.map(Self).map_err(|error| ApiError::BadRequest(format!("the body is not a JSON patch: {error}")))
    }

    /// Carries all of them out. After an error the object is of no use.
    pub(super) fn apply(&self, object: &mut Value) -> Result<(), OperationError> {
        let mut spent = Spent::default();
        for (index, operation) in self.0.iter().enumerate() {
            spent.on(index, operation, object)?;
            json_patch::patch_unsafe(object, std::slice::from_ref(operation)).map_err(|mut error| {
                error.operation = index;
                OperationError::Failed(error)
            })?;
        }
        Ok(())
    }
}

/// What the operations of a patch have cost so far.
#[derive(Default)]
struct Spent {
    copied_bytes: usize,
    steps: usize,
}

impl Spent {
    /// Counts an operation before it is carried out. What it names wrongly is left to who carries it out.
    fn on(&mut self, index: usize, operation: &PatchOperation, object: &Value) -> Result<(), OperationError> {
        let below = match operation {
            PatchOperation::Add(add) => {
                self.step(elements_beside(object, &add.path))?;
                Measured::of(&add.value).depth
            }
            PatchOperation::Replace(replace) => Measured::of(&replace.value).depth,
            PatchOperation::Remove(remove) => return self.step(elements_beside(object, &remove.path)),
            PatchOperation::Move(moved) => {
                self.step(elements_beside(object, &moved.from) + elements_beside(object, &moved.path))?;
                // What does not move down is no deeper than it was.
                if moved.path.count() <= moved.from.count() {
                    return Ok(());
                }
                let source = object.pointer(moved.from.as_str()).map_or(Measured::default(), Measured::of);
                self.step(source.values)?;
                source.depth
            }
            PatchOperation::Copy(copy) => {
                self.step(elements_beside(object, &copy.path))?;
                let source = object.pointer(copy.from.as_str()).map_or(Measured::default(), Measured::of);
                self.copied_bytes += source.bytes;
                if self.copied_bytes > MAX_COPIED_BYTES {
                    return Err(OperationError::Copies(self.copied_bytes));
                }
                source.depth
            }
            PatchOperation::Test(_) => return Ok(()),
        };
        match operation.path().count() + below < MAX_DEPTH {
            true => Ok(()),
            false => Err(OperationError::Depth(index)),
        }
    }

    fn step(&mut self, steps: usize) -> Result<(), OperationError> {
        self.steps += steps;
        if self.steps > MAX_STEPS { Err(OperationError::Steps) } else { Ok(()) }
    }
}

/// How many elements of a list may have to move where one of them is added or removed.
fn elements_beside(object: &Value, path: &Pointer) -> usize {
    let parent = path.parent().and_then(|parent| object.pointer(parent.as_str()));
    parent.and_then(Value::as_array).map_or(0, Vec::len)
}

/// How large a value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Measured {
    /// As JSON, but for what is escaped in its texts.
    bytes: usize,
    /// The value itself and all below it.
    values: usize,
    /// How many lists and objects stand in each other.
    depth: usize,
}

impl Measured {
    fn of(value: &Value) -> Self {
        let inside = |bytes, values: &mut dyn Iterator<Item = Self>| {
            let start = Self { bytes, values: 1, depth: 0 };
            let sum = values.fold(start, |sum, one| Self {
                bytes: sum.bytes + one.bytes + 1,
                values: sum.values + one.values,
                depth: sum.depth.max(one.depth),
            });
            Self { depth: sum.depth + 1, ..sum }
        };
        match value {
            Value::Null | Value::Bool(_) => Self { bytes: 5, values: 1, depth: 0 },
            Value::Number(number) => Self { bytes: number.to_string().len(), values: 1, depth: 0 },
            Value::String(text) => Self { bytes: text.len() + 2, values: 1, depth: 0 },
            Value::Array(elements) => inside(2, &mut elements.iter().map(Self::of)),
            Value::Object(fields) => inside(
                2,
                &mut fields.iter().map(|(key, value)| {
                    let value = Self::of(value);
                    Self { bytes: value.bytes + key.len() + 3, ..value }
                }),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(object: &mut Value, operations: Value) -> Result<(), OperationError> {
        Operations::of(operations).expect("a JSON patch").apply(object)
    }

    /// A patch of so many operations, each made from its number.
    fn many(count: usize, operation: impl Fn(usize) -> Value) -> Value {
        (0..count).map(operation).collect()
    }

    #[test]
    fn copies_are_bounded_in_what_they_produce_also_where_each_doubles_the_object() {
        let mut object = json!({ "data": { "a": "x".repeat(1000) } });
        let doubling = many(60, |n| json!({ "op": "copy", "from": "", "path": format!("/data/b{n}") }));
        let refused = applied(&mut object, doubling).unwrap_err();
        assert!(matches!(refused, OperationError::Copies(_)), "{refused}");
        assert!(Measured::of(&object).bytes <= MAX_COPIED_BYTES + 2000);
        let mut object = json!({ "data": { "a": "x".repeat(1000) } });
        applied(&mut object, many(3000, |n| json!({ "op": "copy", "from": "/data/a", "path": format!("/data/{n}") })))
            .expect("three thousand copies of a thousand bytes are within the limit");
    }

    #[test]
    fn the_elements_that_operations_move_aside_are_bounded() {
        for operation in ["add", "copy"] {
            let mut object = json!({ "list": vec![0; 100_000], "one": 1 });
            let patch = many(1000, |_| json!({ "op": operation, "path": "/list/0", "from": "/one", "value": 1 }));
            assert!(matches!(applied(&mut object, patch), Err(OperationError::Steps)), "{operation}");
        }
        let mut object = json!({ "list": vec![0; 100_000] });
        let patch = many(1000, |_| json!({ "op": "move", "from": "/list/0", "path": "/list/99999" }));
        assert!(matches!(applied(&mut object, patch), Err(OperationError::Steps)));
        let mut object = json!({ "list": vec![0; 1000] });
        applied(&mut object, many(9000, |_| json!({ "op": "add", "path": "/list/0", "value": 1 }))).unwrap_err();
        let mut object = json!({ "list": [] });
        applied(&mut object, many(5000, |n| json!({ "op": "add", "path": "/list/-", "value": n }))).unwrap();
    }

    #[test]
    fn no_operation_nests_an_object_deeper_than_what_can_be_read_again() {
        let deep = (0..100).fold(json!(1), |inner, _| json!({ "a": inner }));
        let below = "/a".repeat(99);
        let adds = many(50, |n| json!({ "op": "add", "path": below.repeat(n + 1), "value": deep }));
        let mut object = deep.clone();
        assert!(matches!(applied(&mut object, adds), Err(OperationError::Depth(0))));
        let copies = json!([ { "op": "copy", "from": "/a", "path": below } ]);
        assert!(matches!(applied(&mut deep.clone(), copies), Err(OperationError::Depth(0))));
        let mut object = json!({ "b": deep, "a": deep });
        let moves = json!([ { "op": "move", "from": "/b", "path": format!("/a{below}") } ]);
        assert!(matches!(applied(&mut object, moves), Err(OperationError::Depth(0))));
    }

    #[test]
    fn an_operation_that_fails_is_named_by_its_number() {
        let patch = json!([ { "op": "add", "path": "/a", "value": 1 }, { "op": "test", "path": "/a", "value": 2 } ]);
        let failed = applied(&mut json!({}), patch).unwrap_err().to_string();
        assert_eq!(failed, "operation '/1' failed at path '/a': value did not match");
    }

    #[test]
    fn more_operations_than_kubernetes_takes_are_refused_in_its_words() {
        let refused = Operations::of(many(10_001, |_| json!({ "op": "remove", "path": "/a" }))).unwrap_err();
        assert_eq!(refused.to_string(), "The allowed maximum operations in a JSON patch is 10000, got 10001");
    }
}
