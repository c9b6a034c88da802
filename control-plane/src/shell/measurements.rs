use std::{collections::HashMap, sync::Arc};

use api::{ObjectKey, Timestamp, session::ServiceSample};
use parking_lot::Mutex;

/// The last that gateways measured at each Service. Clones are handles to the same.
///
/// No data means that nothing is known, which is not the same as no traffic.
#[derive(Debug, Clone, Default)]
pub struct Measurements {
    services: Arc<Mutex<HashMap<ObjectKey, Measured>>>,
}

/// What was measured at one Service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// The last sample, and when it arrived.
    pub last: Option<(ServiceSample, Timestamp)>,
    /// Requests that found no endpoint and waited for one, since the process started.
    pub wakes: u64,
}

impl Measurements {
    /// What was measured at a Service.
    pub fn of(&self, service: &ObjectKey) -> Option<Measured> {
        self.services.lock().get(service).cloned()
    }

    pub(super) fn sampled(&self, samples: Vec<ServiceSample>, now: Timestamp) {
        let mut services = self.services.lock();
        for sample in samples {
            let measured = services.entry(sample.service.clone()).or_default();
            measured.last = Some((sample, now));
        }
    }

    pub(super) fn woken(&self, service: &ObjectKey) {
        self.services.lock().entry(service.clone()).or_default().wakes += 1;
    }

    pub(super) fn forget(&self, service: &ObjectKey) {
        self.services.lock().remove(service);
    }
}
