use api::replica::{
    Failure, FailureReason, Grants, HttpProbe, Isolation, Limits, LogLevel, LogLine, LogSource, Probes, ReplicaPhase,
    ReplicaSpec, Reserves,
};

use super::{
    WireError, digest, micros, moment, needed,
    proto::{self, log_line::Source, replica_phase::Kind},
    replica_id, span,
};

impl From<ReplicaSpec> for proto::ReplicaSpec {
    fn from(spec: ReplicaSpec) -> Self {
        Self {
            id: Some(spec.id.0.into()),
            revision: spec.revision,
            created_micros: spec.created.micros,
            image: spec.image,
            digest: spec.digest.to_string(),
            environment: spec.environment.into_iter().collect(),
            outbound: spec.grants.outbound,
            key_value: spec.grants.key_value,
            limits: Some(spec.limits.into()),
            startup: spec.probes.startup.map(Into::into),
            readiness: spec.probes.readiness.map(Into::into),
            liveness: spec.probes.liveness.map(Into::into),
            reserved_cpu_millis: spec.reserves.cpu_millis,
            reserved_memory_bytes: spec.reserves.memory_bytes,
            seal: spec.seal,
        }
    }
}

impl TryFrom<proto::ReplicaSpec> for ReplicaSpec {
    type Error = WireError;

    fn try_from(spec: proto::ReplicaSpec) -> Result<Self, WireError> {
        Ok(Self {
            id: replica_id(spec.id, "replica.id")?,
            revision: spec.revision,
            created: moment(spec.created_micros),
            image: spec.image,
            digest: digest(&spec.digest, "replica.digest")?,
            environment: spec.environment.into_iter().collect(),
            grants: Grants { outbound: spec.outbound, key_value: spec.key_value },
            limits: needed(spec.limits, "replica.limits")?.into(),
            reserves: Reserves { cpu_millis: spec.reserved_cpu_millis, memory_bytes: spec.reserved_memory_bytes },
            probes: Probes {
                startup: spec.startup.map(Into::into),
                readiness: spec.readiness.map(Into::into),
                liveness: spec.liveness.map(Into::into),
            },
            seal: spec.seal,
        })
    }
}

impl From<Limits> for proto::Limits {
    fn from(limits: Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            cpu_millis: limits.cpu_millis,
            concurrency: limits.concurrency,
            request_deadline_micros: micros(limits.request_deadline),
            max_reuse: match limits.isolation {
                Isolation::Request => None,
                Isolation::Replica { max_reuse } => Some(max_reuse),
            },
        }
    }
}

impl From<proto::Limits> for Limits {
    fn from(limits: proto::Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            cpu_millis: limits.cpu_millis,
            concurrency: limits.concurrency,
            request_deadline: span(limits.request_deadline_micros),
            isolation: limits.max_reuse.map_or(Isolation::Request, |max_reuse| Isolation::Replica { max_reuse }),
        }
    }
}

impl From<HttpProbe> for proto::Probe {
    fn from(probe: HttpProbe) -> Self {
        Self {
            path: probe.path,
            headers: probe.headers.into_iter().map(|(name, value)| proto::Header { name, value }).collect(),
            initial_delay_micros: micros(probe.initial_delay),
            period_micros: micros(probe.period),
            timeout_micros: micros(probe.timeout),
            failure_threshold: probe.failure_threshold,
            success_threshold: probe.success_threshold,
        }
    }
}

impl From<proto::Probe> for HttpProbe {
    fn from(probe: proto::Probe) -> Self {
        Self {
            path: probe.path,
            headers: probe.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            initial_delay: span(probe.initial_delay_micros),
            period: span(probe.period_micros),
            timeout: span(probe.timeout_micros),
            failure_threshold: probe.failure_threshold,
            success_threshold: probe.success_threshold,
        }
    }
}

impl From<ReplicaPhase> for proto::ReplicaPhase {
    fn from(phase: ReplicaPhase) -> Self {
        let (kind, failure) = match phase {
            ReplicaPhase::Standby => (Kind::Standby, None),
            ReplicaPhase::Starting => (Kind::Starting, None),
            ReplicaPhase::NotReady => (Kind::NotReady, None),
            ReplicaPhase::Ready => (Kind::Ready, None),
            ReplicaPhase::Draining => (Kind::Draining, None),
            ReplicaPhase::Stopped => (Kind::Stopped, None),
            ReplicaPhase::Failed(failure) => (Kind::Failed, Some(failure)),
        };
        let (reason, message) =
            failure.map(|failure| (failure.reason.as_str().to_owned(), failure.message)).unwrap_or_default();
        Self { kind: kind.into(), reason, message }
    }
}

impl TryFrom<proto::ReplicaPhase> for ReplicaPhase {
    type Error = WireError;

    fn try_from(phase: proto::ReplicaPhase) -> Result<Self, WireError> {
        Ok(match phase.kind() {
            Kind::Unspecified => return Err(WireError::Unknown { message: "a phase" }),
            Kind::Standby => Self::Standby,
            Kind::Starting => Self::Starting,
            Kind::NotReady => Self::NotReady,
            Kind::Ready => Self::Ready,
            Kind::Draining => Self::Draining,
            Kind::Stopped => Self::Stopped,
            Kind::Failed => {
                Self::Failed(Failure { reason: FailureReason::parse(&phase.reason), message: phase.message })
            }
        })
    }
}

/// Sources of log lines, each with its number in the protocol.
const SOURCES: [(Source, LogSource); 9] = [
    (Source::Stdout, LogSource::Stdout),
    (Source::Stderr, LogSource::Stderr),
    (Source::Sampan, LogSource::Sampan),
    (Source::Trace, LogSource::Logging(LogLevel::Trace)),
    (Source::Debug, LogSource::Logging(LogLevel::Debug)),
    (Source::Info, LogSource::Logging(LogLevel::Info)),
    (Source::Warn, LogSource::Logging(LogLevel::Warn)),
    (Source::Error, LogSource::Logging(LogLevel::Error)),
    (Source::Critical, LogSource::Logging(LogLevel::Critical)),
];

impl From<LogLine> for proto::LogLine {
    fn from(line: LogLine) -> Self {
        let source = SOURCES.iter().find(|(_, source)| *source == line.source);
        let source = source.map_or(Source::Unspecified, |(number, _)| *number);
        Self { at_micros: line.at.micros, source: source.into(), text: line.text }
    }
}

impl From<proto::LogLine> for LogLine {
    fn from(line: proto::LogLine) -> Self {
        let source = SOURCES.iter().find(|(number, _)| *number == line.source());
        let source = source.map_or(LogSource::Sampan, |(_, source)| *source);
        Self { at: moment(line.at_micros), source, text: line.text }
    }
}
