use api::ObjectKey;

/// Where a measurement is from: one Service at one gateway. Several of both may lead to the same Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    gateway: u64,
    service: ObjectKey,
}

impl Source {
    /// A Service at a gateway.
    pub fn new(gateway: u64, service: &ObjectKey) -> Self {
        Self { gateway, service: service.clone() }
    }
}

/// What was last said of how many requests there are, by those who have any.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Gauges(Vec<(Source, Gauge)>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Gauge {
    in_flight: u32,
    queued: u32,
}

impl Gauges {
    pub(super) fn set(&mut self, source: Source, in_flight: u32, queued: u32) {
        let known = self.0.iter().position(|(known, _)| *known == source);
        let gauge = Gauge { in_flight, queued };
        match (known, in_flight == 0 && queued == 0) {
            (Some(at), true) => _ = self.0.swap_remove(at),
            (Some(at), false) => self.0[at].1 = gauge,
            (None, true) => {}
            (None, false) => self.0.push((source, gauge)),
        }
    }

    pub(super) fn forget(&mut self, gateway: u64) {
        self.0.retain(|(source, _)| source.gateway != gateway);
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.0.iter().fold(0, |sum, (_, gauge)| sum.saturating_add(gauge.in_flight))
    }

    pub(super) fn queued(&self) -> u32 {
        self.0.iter().fold(0, |sum, (_, gauge)| sum.saturating_add(gauge.queued))
    }
}
