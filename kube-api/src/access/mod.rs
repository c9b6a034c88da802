//! Who may do what: Kubernetes' roles (RBAC), over the objects that are stored.
//!
//! [`Index`] decides, purely; [`Roles`] follows the stores and holds the index that requests read.

mod attributes;
mod defaults;
mod follow;
mod index;
mod rules;
mod tokens;

#[cfg(test)]
mod tests;

pub(crate) use attributes::{Attributes, What};
pub use defaults::default_roles;
pub use follow::Roles;
pub(crate) use index::{Granted, Index};
pub(crate) use rules::{NotCovered, Rule, rules_of};
pub use tokens::{TOKEN_TYPE, USERS_NAMESPACE};
