use std::{collections::BTreeMap, sync::Arc};

use api::{ReplicaId, Timestamp};

use crate::autoscale::{Autoscaler, Decision, Memory, Traffic};

/// What a Deployment's number of replicas follows, and what was decided of it. None of it is kept over a restart.
#[derive(Debug)]
pub(crate) struct Scaling {
    pub(crate) spec: Arc<Autoscaler>,
    /// How many replicas are wanted now; known once it is known what runs.
    pub(crate) desired: Option<u32>,
    /// Whether what runs decides that, and not what is written: the autoscaler was there before this control plane.
    pub(crate) learns: bool,
    /// A user has scaled it to zero though its minimum is more: it stays there until they write another number.
    pub(crate) off: bool,
    pub(crate) traffic: Traffic,
    pub(crate) memory: Memory,
    /// CPU time that its replicas have used.
    pub(crate) cpu: BTreeMap<ReplicaId, CpuUse>,
    /// When it is decided again. Timers that were set for another time are void.
    pub(crate) next_look: Option<Timestamp>,
    /// The number that is on its way to be written.
    pub(crate) writing: Option<u32>,
    pub(crate) last: Option<Decision>,
    pub(crate) last_scaled: Option<Timestamp>,
    /// When its status was last told.
    pub(crate) told: Option<Timestamp>,
}

/// CPU time of one replica, as two reports of its worker show it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuUse {
    pub(crate) at: Timestamp,
    pub(crate) used: std::time::Duration,
    /// In cores, between the last two reports.
    pub(crate) rate: Option<f64>,
}

impl Scaling {
    pub(crate) fn new(spec: Arc<Autoscaler>, learns: bool) -> Self {
        Self {
            spec,
            desired: None,
            learns,
            off: false,
            traffic: Traffic::default(),
            memory: Memory::default(),
            cpu: BTreeMap::new(),
            next_look: None,
            writing: None,
            last: None,
            last_scaled: None,
            told: None,
        }
    }

    /// A number within what the autoscaler may choose.
    pub(crate) fn within(&self, replicas: u32) -> u32 {
        replicas.clamp(self.spec.min, self.spec.max.max(self.spec.min))
    }
}
