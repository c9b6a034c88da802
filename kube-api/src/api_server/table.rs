//! Objects as rows of a `Table`, which is what `kubectl get` prints.

use api::Timestamp;
use bytes::Bytes;
use serde_json::{Value, json};
use store::Item;

use crate::resources::{Column, Resource};

use super::{
    accept::{Form, Notation},
    error::ApiError,
    objects::decode,
    params::Params,
    verbatim,
    versions::in_stored_form,
};

/// What of each object stands in its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IncludeObject {
    None,
    Metadata,
    Object,
}

/// How objects are answered to one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presentation {
    pub(super) resource: &'static Resource,
    pub(super) form: Form,
    /// Of the changes of a watch. What is answered at once is made in JSON and written anew.
    pub(super) notation: Notation,
    pub(super) include: IncludeObject,
    pub(super) now: Timestamp,
}

impl IncludeObject {
    pub(super) fn of(params: &Params) -> Result<Self, ApiError> {
        match params.include_object() {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(ApiError::BadRequest(format!(
                "includeObject `{other}` is not known: write `None`, `Metadata` or `Object`"
            ))),
        }
    }
}

impl Presentation {
    /// One object.
    pub(super) fn object(&self, object: Value) -> Value {
        match self.form {
            Form::Object => object,
            Form::Metadata => metadata_of(&object),
            Form::Table => {
                let list_metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
                self.table(vec![object], list_metadata, self.column_definitions())
            }
        }
    }

    /// One object of a watch. Only the first table of a watch defines the columns.
    pub(super) fn event_object(&self, object: Value, first: bool) -> Value {
        if self.form != Form::Table || first {
            return self.object(object);
        }
        let list_metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
        self.table(vec![object], list_metadata, Value::Null)
    }

    /// What stands before and behind the objects of a collection.
    pub(super) fn list_ends(&self, list_metadata: &Value) -> (String, String) {
        let (kind, api_version, place) = match self.form {
            Form::Object => (format!("{}List", self.resource.kind), self.resource.api_version(), "items"),
            Form::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned(), "items"),
            Form::Table => ("Table".to_owned(), "meta.k8s.io/v1".to_owned(), "rows"),
        };
        let mut list = json!({ "kind": kind, "apiVersion": api_version, "metadata": list_metadata });
        if self.form == Form::Table {
            list["columnDefinitions"] = self.column_definitions();
        }
        let rest = list.to_string();
        (format!("{},\"{place}\":[", &rest[..rest.len() - 1]), "]}".to_owned())
    }

    /// The text of one object of a collection, in pieces.
    pub(super) fn list_item(&self, item: &Item) -> Result<Vec<Bytes>, ApiError> {
        let object = || decode(self.resource, &item.value, item.revision);
        Ok(match self.form {
            Form::Object => verbatim::pieces(self.resource, &item.value, item.revision)?,
            Form::Metadata => vec![metadata_of(&object()?).to_string().into()],
            Form::Table => vec![self.row(object()?).to_string().into()],
        })
    }

    fn table(&self, objects: Vec<Value>, list_metadata: Value, columns: Value) -> Value {
        let rows: Vec<_> = objects.into_iter().map(|object| self.row(object)).collect();
        json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": list_metadata,
            "columnDefinitions": columns, "rows": rows })
    }

    fn row(&self, object: Value) -> Value {
        let stored = in_stored_form(self.resource, &object);
        let cells: Vec<_> = self.resource.columns.iter().map(|column| (column.cell)(&stored, self.now)).collect();
        match self.include {
            IncludeObject::None => json!({ "cells": cells }),
            IncludeObject::Metadata => json!({ "cells": cells, "object": metadata_of(&object) }),
            IncludeObject::Object => json!({ "cells": cells, "object": object }),
        }
    }

    fn column_definitions(&self) -> Value {
        let define = |column: &Column| {
            json!({ "name": column.name, "type": column.kind, "format": column.format,
                "description": "", "priority": column.priority })
        };
        self.resource.columns.iter().map(define).collect()
    }
}

fn metadata_of(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] })
}
