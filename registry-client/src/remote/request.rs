use api::PullPolicy;

use super::Progress;
use crate::{Access, VerifyingKeys};

/// An image that is to be had.
#[derive(Debug, Clone)]
pub struct Request {
    /// As the user wrote it.
    pub reference: String,
    /// When the registry is asked.
    pub policy: PullPolicy,
    /// Who asks.
    pub access: Access,
    /// Who is told how far it is.
    pub progress: Progress,
    /// Who must have signed it. `None`: nobody.
    pub signed_by: Option<VerifyingKeys>,
}

impl Request {
    /// What the user of this machine asks for, where the local store does not have it.
    pub fn of_machine(reference: impl Into<String>) -> Self {
        let (policy, access, progress) = (PullPolicy::IfNotPresent, Access::of_machine(), Progress::untold());
        Self { reference: reference.into(), policy, access, progress, signed_by: None }
    }
}
