use std::sync::Arc;

use api::{
    Taint, WorkerName,
    session::{Capacity, CpuUsage, RunningReplica, WorkerDown, WorkerHello, WorkerUp},
};

use super::{
    WireError, digest, micros, needed,
    proto::{self, Empty, worker_down, worker_up},
    replica_id, span,
};

impl From<WorkerUp> for proto::WorkerUp {
    fn from(message: WorkerUp) -> Self {
        use worker_up::Content;
        let content = match message {
            WorkerUp::Hello(hello) => Content::Hello(hello.into()),
            WorkerUp::Phase { id, phase } => {
                Content::Phase(proto::Phase { id: Some(id.0.into()), phase: Some(phase.into()) })
            }
            WorkerUp::Traps { id, count, last } => Content::Traps(proto::Traps { id: Some(id.0.into()), count, last }),
            WorkerUp::Log { id, lines } => {
                let lines = lines.into_iter().map(Into::into).collect();
                Content::Log(proto::Log { id: Some(id.0.into()), lines })
            }
            WorkerUp::Cached { digest } => Content::Cached(digest.to_string()),
            WorkerUp::Usage(replicas) => {
                let usage =
                    |CpuUsage { id, used }| proto::CpuUsage { id: Some(id.0.into()), used_micros: micros(used) };
                Content::Usage(proto::Usage { replicas: replicas.into_iter().map(usage).collect() })
            }
            WorkerUp::Slots { id, slots } => Content::Slots(proto::Slots { id: Some(id.0.into()), slots }),
            WorkerUp::Heartbeat => Content::Heartbeat(Empty {}),
            WorkerUp::Leaving => Content::Leaving(Empty {}),
        };
        Self { content: Some(content) }
    }
}

impl TryFrom<proto::WorkerUp> for WorkerUp {
    type Error = WireError;

    fn try_from(message: proto::WorkerUp) -> Result<Self, WireError> {
        use worker_up::Content;
        Ok(match message.content.ok_or(WireError::Unknown { message: "a worker's message" })? {
            Content::Hello(hello) => Self::Hello(hello.try_into()?),
            Content::Phase(proto::Phase { id, phase }) => {
                Self::Phase { id: replica_id(id, "phase.id")?, phase: needed(phase, "phase.phase")?.try_into()? }
            }
            Content::Traps(proto::Traps { id, count, last }) => {
                Self::Traps { id: replica_id(id, "traps.id")?, count, last }
            }
            Content::Log(proto::Log { id, lines }) => {
                Self::Log { id: replica_id(id, "log.id")?, lines: lines.into_iter().map(Into::into).collect() }
            }
            Content::Cached(text) => Self::Cached { digest: digest(&text, "cached")? },
            Content::Usage(proto::Usage { replicas }) => {
                let usage = |usage: proto::CpuUsage| {
                    Ok(CpuUsage { id: replica_id(usage.id, "usage.id")?, used: span(usage.used_micros) })
                };
                Self::Usage(replicas.into_iter().map(usage).collect::<Result<_, WireError>>()?)
            }
            Content::Slots(proto::Slots { id, slots }) => {
                Self::Slots { id: replica_id(id, "slots.id")?, slots: slots.max(1) }
            }
            Content::Heartbeat(_) => Self::Heartbeat,
            Content::Leaving(_) => Self::Leaving,
        })
    }
}

impl From<WorkerHello> for proto::WorkerHello {
    fn from(hello: WorkerHello) -> Self {
        let Capacity { cpu_millis, memory_bytes, replicas } = hello.capacity;
        let running = |running: RunningReplica| proto::RunningReplica {
            spec: Some(running.spec.into()),
            phase: Some(running.phase.into()),
        };
        let taint = |taint: Taint| proto::Taint {
            key: taint.key,
            value: taint.value,
            effect: taint.effect.as_str().to_owned(),
        };
        Self {
            name: hello.name.to_string(),
            capacity: Some(proto::Capacity { cpu_millis, memory_bytes, replicas }),
            labels: hello.labels.into_iter().collect(),
            taints: hello.taints.into_iter().map(taint).collect(),
            address: hello.address.map(Into::into),
            running: hello.running.into_iter().map(running).collect(),
            cached: hello.cached.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<proto::WorkerHello> for WorkerHello {
    type Error = WireError;

    fn try_from(hello: proto::WorkerHello) -> Result<Self, WireError> {
        let proto::Capacity { cpu_millis, memory_bytes, replicas } = needed(hello.capacity, "hello.capacity")?;
        if hello.name.is_empty() {
            return Err(WireError::Invalid { field: "hello.name" });
        }
        let running = |running: proto::RunningReplica| {
            Ok(RunningReplica {
                spec: needed(running.spec, "running.spec")?.try_into()?,
                phase: needed(running.phase, "running.phase")?.try_into()?,
            })
        };
        // An effect that is not known keeps replicas away, which does no harm.
        let taint = |taint: proto::Taint| Taint {
            effect: taint.effect.parse().unwrap_or(api::TaintEffect::NoSchedule),
            key: taint.key,
            value: taint.value,
        };
        Ok(Self {
            name: WorkerName(hello.name.into()),
            capacity: Capacity { cpu_millis, memory_bytes, replicas },
            labels: hello.labels.into_iter().collect(),
            taints: hello.taints.into_iter().map(taint).collect(),
            address: hello.address.map(Into::into),
            running: hello.running.into_iter().map(running).collect::<Result<_, WireError>>()?,
            cached: hello.cached.iter().map(|text| digest(text, "hello.cached")).collect::<Result<_, _>>()?,
        })
    }
}

impl From<WorkerDown> for proto::WorkerDown {
    fn from(message: WorkerDown) -> Self {
        use worker_down::Content;
        let content = match message {
            WorkerDown::Start(spec) => Content::Start(Arc::unwrap_or_clone(spec).into()),
            WorkerDown::Standby(spec) => Content::Standby(Arc::unwrap_or_clone(spec).into()),
            WorkerDown::Stop { id, grace } => {
                Content::Stop(proto::Stop { id: Some(id.0.into()), grace_micros: micros(grace) })
            }
        };
        Self { content: Some(content) }
    }
}

impl TryFrom<proto::WorkerDown> for WorkerDown {
    type Error = WireError;

    fn try_from(message: proto::WorkerDown) -> Result<Self, WireError> {
        use worker_down::Content;
        Ok(match message.content.ok_or(WireError::Unknown { message: "a message to a worker" })? {
            Content::Start(spec) => Self::Start(Arc::new(spec.try_into()?)),
            Content::Standby(spec) => Self::Standby(Arc::new(spec.try_into()?)),
            Content::Stop(proto::Stop { id, grace_micros }) => {
                Self::Stop { id: replica_id(id, "stop.id")?, grace: span(grace_micros) }
            }
        })
    }
}
