use serde_json::{Value, json};

use super::{
    column::Column,
    field::FieldError,
    honoured::{self, Findings, Rules, Warning},
    metadata,
    schema::Schema,
};

/// One kind of object in one version.
#[derive(Debug)]
pub struct Resource {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// For example `v1`.
    pub version: &'static str,
    /// For example `ReplicaSet`.
    pub kind: &'static str,
    /// For example `replicasets`: it stands in paths and keys.
    pub plural: &'static str,
    /// For example `replicaset`.
    pub singular: &'static str,
    /// For example `rs`.
    pub short_names: &'static [&'static str],
    /// For example `all`.
    pub categories: &'static [&'static str],
    /// Whether its objects live in namespaces.
    pub scope: Scope,
    /// Where its objects are kept.
    pub durability: Durability,
    /// Whether each of its objects is given an address within the cluster, in `spec.clusterIP`.
    pub has_cluster_ip: bool,
    /// What its objects may be called.
    pub names: NameRule,
    /// What stands below an object.
    pub subresources: &'static [Subresource],
    /// The columns of its table.
    pub columns: &'static [Column],
    /// Its fields and their types.
    pub schema: Schema,
    /// What of it is honoured, without `metadata` and `status`.
    pub honoured: Rules,
    /// Fills in what Kubernetes fills in.
    pub default: fn(&mut Value),
    /// Checks what types cannot say, against what is stored if it is there.
    pub validate: fn(new: &Value, old: Option<&Value>) -> Vec<FieldError>,
    /// In which other version its objects are stored; `None`: in this one.
    pub view: Option<View>,
}

/// How objects that are stored in one version of a kind are seen and written in another.
#[derive(Debug)]
pub struct View {
    /// The version that is stored, checked and acted upon.
    pub stored: &'static Resource,
    /// From the stored version to this one.
    pub of_stored: fn(Value) -> Value,
    /// From this version, whose schema has been checked, to the stored one.
    pub to_stored: fn(Value) -> Result<Value, FieldError>,
}

/// Whether objects live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each in one.
    Namespaced,
    /// Above them.
    Cluster,
}

/// Where objects are kept, and who writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Users' intent, in the durable store.
    Durable,
    /// Written by users and by sampan, beside the live state: it lasts as long as the process, and no longer than an hour.
    Passing,
    /// Nowhere: an object is a question, and who writes it is answered in it.
    Asked,
    /// A projection of the live state: users read it and command it, but do not write it.
    Live,
}

/// What objects may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// An RFC 1123 label.
    Label,
    /// An RFC 1123 subdomain.
    Subdomain,
    /// Anything that can stand in a path, such as `system:basic-user`.
    PathSegment,
}

/// What stands below an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// The observed side, written apart from the rest.
    Status,
    /// The number of replicas, as autoscaling/v1 Scale.
    Scale,
    /// What a replica wrote.
    Log,
    /// Moves a Pod off its node: `kubectl drain` asks for it.
    Eviction,
    /// A token of a ServiceAccount: `kubectl create token` asks for it.
    Token,
}

impl Subresource {
    /// As it stands in a path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Log => "log",
            Self::Eviction => "eviction",
            Self::Token => "token",
        }
    }
}

impl Resource {
    /// The version of it, perhaps in another group, in which its objects are stored.
    pub fn stored(&'static self) -> &'static Self {
        self.view.as_ref().map_or(self, |view| view.stored)
    }

    /// `apps/v1`, or `v1` in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`, or `pods` in the core group: as messages call it.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// What may be done with its objects.
    pub fn verbs(&self) -> &'static [&'static str] {
        match (self.durability, self.plural) {
            (Durability::Durable | Durability::Passing, _) => {
                &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
            }
            (Durability::Asked, _) => &["create"],
            (Durability::Live, "pods") => &["create", "delete", "get", "list", "patch", "watch"],
            (Durability::Live, "nodes") => &["delete", "get", "list", "patch", "update", "watch"],
            (Durability::Live, _) => &["get", "list", "watch"],
        }
    }

    /// What is wrong with what all objects have in common.
    pub fn check_metadata(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        metadata::validate(self, new, old)
    }

    /// Everything that is wrong with an object, given what is stored. Defaults have been filled in.
    pub fn check(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let errors = (self.schema.check)(new);
        if !errors.is_empty() {
            return errors;
        }
        let mut errors = self.check_metadata(new, old);
        errors.extend(self.findings(new).errors);
        errors.extend((self.validate)(new, old));
        errors
    }

    /// What of an object is taken though it changes nothing.
    pub fn warnings(&self, object: &Value) -> Vec<Warning> {
        self.findings(object).warnings
    }

    fn findings(&self, object: &Value) -> Findings {
        let mut rest = object.clone();
        if let Some(fields) = rest.as_object_mut() {
            for apart in ["apiVersion", "kind", "metadata", "status"] {
                fields.remove(apart);
            }
        }
        honoured::check(&rest, self.honoured)
    }
}

/// For kinds that need no defaults.
pub(super) fn no_defaults(_: &mut Value) {}

/// For kinds whose status says where they are reached from outside: at first nowhere.
pub(super) fn set_load_balancer_status(object: &mut Value) {
    if let Some(fields) = object.as_object_mut()
        && let Some(status) = fields.entry("status").or_insert_with(|| json!({})).as_object_mut()
    {
        status.entry("loadBalancer").or_insert_with(|| json!({}));
    }
}

/// For kinds that are right when their types are.
pub(super) fn no_checks(_: &Value, _: Option<&Value>) -> Vec<FieldError> {
    Vec::new()
}
