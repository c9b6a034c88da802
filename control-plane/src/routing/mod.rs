//! From Services, Ingresses, NetworkPolicies and replicas to what a gateway is told. Pure functions: no I/O, no clock, no state.

mod by_label;
mod claims;
mod endpoints;
mod guards;
mod ingress;
mod policy;
mod reason;
mod reserved;
mod service;
mod taken;

#[cfg(test)]
mod tests;

pub(crate) use by_label::ByLabel;
pub(crate) use claims::{Claim, Claims, Granted, Refused, TOLD};
pub(crate) use endpoints::{Addresses, endpoints};
pub(crate) use guards::Policies;
pub(crate) use ingress::ingress_claim;
pub(crate) use policy::{Labels, Policy};
pub(crate) use reason::{Backer, reason};
pub(crate) use service::{Service, labels};
pub(crate) use taken::taken_paths;
