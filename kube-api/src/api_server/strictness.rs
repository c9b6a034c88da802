//! What is done about fields that are given twice, and about those that a kind does not have: `fieldValidation` of a write.

use http::{Method, request::Parts};
use parking_lot::Mutex;
use serde_json::Value;

use crate::{
    notation::{self, MAX_LISTED, Text},
    resources::{Cause, FieldError, MAX_UNKNOWN_FIELDS, Resource, Subresource, remove_field},
};

use super::{
    authorship::Authorship,
    body::{APPLY, media_type},
    error::ApiError,
    params::Params,
};

/// Warnings of one answer.
const MAX_WARNINGS: usize = 64;
/// All of them together, as in Kubernetes: clients take no more of headers.
const MAX_WARNING_BYTES: usize = 4 << 10;

/// How strictly one write is read, who writes, and what its writer is to be told of.
#[derive(Debug)]
pub(super) struct Strictness {
    mode: Mode,
    /// Whether what is written is a whole object, not what a patch makes of one.
    whole: bool,
    warnings: Mutex<Vec<String>>,
    /// Who writes.
    pub(super) by: Authorship,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Such fields are an error.
    Strict,
    /// They are left out, and the writer is told.
    Warn,
    /// They are left out in silence.
    Ignore,
}

impl Strictness {
    /// As the request asks; as in Kubernetes, one that does not ask is warned.
    pub(super) fn of(params: &Params, request: &Parts, below: Option<Subresource>) -> Result<Self, ApiError> {
        let mode = match params.field_validation() {
            "" | "Warn" => Mode::Warn,
            "Strict" => Mode::Strict,
            "Ignore" => Mode::Ignore,
            other => {
                let why = format!("fieldValidation `{other}` is not known: write `Strict`, `Warn` or `Ignore`");
                return Err(ApiError::BadRequest(why));
            }
        };
        let whole = request.method != Method::PATCH || media_type(&request.headers) == APPLY;
        let by = Authorship::of(params, request, below)?;
        Ok(Self { mode, whole, warnings: Mutex::default(), by })
    }

    /// What a text says. Of a key given twice the last counts.
    pub(super) fn value_of(&self, text: Text) -> Result<Value, ApiError> {
        let twice = |path: String| FieldError::new(Cause::Duplicate, path, "is given twice: remove one of them");
        self.judge(text.duplicates.into_iter().map(twice).collect())?;
        Ok(text.value)
    }

    /// Takes fields out that this kind does not have. Of values of other types an object that is written whole cannot be read,
    /// as in Kubernetes; what a patch makes is left to the check of the whole object. One whose lists have more
    /// elements than [`MAX_LISTED`] is not looked at.
    pub(super) fn prune(&self, resource: &Resource, object: &mut Value) -> Result<(), ApiError> {
        let listed = notation::listed(object);
        if listed > MAX_LISTED {
            let why = format!(
                "lists of the {} have {listed} elements in all: at most {MAX_LISTED} are allowed",
                resource.kind
            );
            return Err(ApiError::TooLarge { why });
        }
        (resource.schema.take_nulls_out)(object);
        let errors = (resource.schema.check)(object);
        let (unknown, others): (Vec<_>, Vec<_>) = errors.into_iter().partition(|error| error.cause == Cause::Unknown);
        if self.whole && !others.is_empty() {
            return Err(ApiError::Unreadable { resource: resource.kind, version: resource.version, errors: others });
        }
        if unknown.is_empty() || (self.mode == Mode::Strict && !others.is_empty()) {
            return Ok(());
        }
        if self.mode != Mode::Strict && unknown.len() >= MAX_UNKNOWN_FIELDS {
            let why = format!("{MAX_UNKNOWN_FIELDS} fields or more are not known to {}: remove them", resource.kind);
            return Err(ApiError::BadRequest(why));
        }
        for error in &unknown {
            remove_field(object, &error.path);
        }
        self.judge(unknown)
    }

    /// Tells the writer something, if there is room for it.
    pub(super) fn warn(&self, warning: impl Into<String>) {
        let (mut warning, mut warnings) = (warning.into(), self.warnings.lock());
        let room = MAX_WARNING_BYTES.saturating_sub(warnings.iter().map(String::len).sum());
        if warning.len() > room {
            warning.truncate(warning.floor_char_boundary(room));
        }
        // What is tried again when others were faster says the same again.
        if !warning.is_empty() && warnings.len() < MAX_WARNINGS && !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// What the writer is to be told so far.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().clone()
    }

    fn judge(&self, errors: Vec<FieldError>) -> Result<(), ApiError> {
        match self.mode {
            _ if errors.is_empty() => Ok(()),
            Mode::Strict => Err(ApiError::Strict { errors }),
            Mode::Warn => {
                errors.iter().for_each(|error| self.warn(sentence(error)));
                Ok(())
            }
            Mode::Ignore => Ok(()),
        }
    }
}

/// As Kubernetes says it, with the field that was probably meant.
pub(super) fn sentence(error: &FieldError) -> String {
    let what = if error.cause == Cause::Duplicate { "duplicate" } else { "unknown" };
    let meant = error.message.find("did you mean").map(|at| format!(" ({})", &error.message[at..]));
    format!("{what} field \"{}\"{}", error.path, meant.unwrap_or_default())
}
