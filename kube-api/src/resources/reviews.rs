//! Questions about who may do what: nothing of them is kept, whoever writes one is answered in it. Tools that show only what
//! their user may do ask so before anything else.

use k8s_openapi::api::{
    authentication::v1::{SelfSubjectReview, TokenRequest, TokenReview},
    authorization::v1::{
        LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
    },
};

use super::{Durability, Resource, Scope, schema::Schema, stored::STORED};

const REVIEW: Resource =
    Resource { group: "authorization.k8s.io", scope: Scope::Cluster, durability: Durability::Asked, ..STORED };

pub(super) static SELF_SUBJECT_ACCESS_REVIEW: Resource = Resource {
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    schema: Schema::of::<SelfSubjectAccessReview>(),
    ..REVIEW
};

pub(super) static SELF_SUBJECT_RULES_REVIEW: Resource = Resource {
    kind: "SelfSubjectRulesReview",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    schema: Schema::of::<SelfSubjectRulesReview>(),
    ..REVIEW
};

pub(super) static SUBJECT_ACCESS_REVIEW: Resource = Resource {
    kind: "SubjectAccessReview",
    plural: "subjectaccessreviews",
    singular: "subjectaccessreview",
    schema: Schema::of::<SubjectAccessReview>(),
    ..REVIEW
};

pub(super) static LOCAL_SUBJECT_ACCESS_REVIEW: Resource = Resource {
    kind: "LocalSubjectAccessReview",
    plural: "localsubjectaccessreviews",
    singular: "localsubjectaccessreview",
    scope: Scope::Namespaced,
    schema: Schema::of::<LocalSubjectAccessReview>(),
    ..REVIEW
};

pub(super) static SELF_SUBJECT_REVIEW: Resource = Resource {
    group: "authentication.k8s.io",
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    schema: Schema::of::<SelfSubjectReview>(),
    ..REVIEW
};

pub(super) static TOKEN_REVIEW: Resource = Resource {
    group: "authentication.k8s.io",
    kind: "TokenReview",
    plural: "tokenreviews",
    singular: "tokenreview",
    schema: Schema::of::<TokenReview>(),
    ..REVIEW
};

/// What is asked for below a ServiceAccount, and so in no list of kinds.
pub(crate) static TOKEN_REQUEST: Resource = Resource {
    group: "authentication.k8s.io",
    kind: "TokenRequest",
    plural: "tokenrequests",
    singular: "tokenrequest",
    scope: Scope::Namespaced,
    schema: Schema::of::<TokenRequest>(),
    ..REVIEW
};
