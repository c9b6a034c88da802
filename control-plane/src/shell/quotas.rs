//! What quotas refuse, as events.

use std::time::Duration;

use api::{ObjectKey, OverQuota};
use kube_api::{identity::now, kind::NAMESPACE};
use scheduler::EventKind;

use super::{Input, Shell};
use crate::projection::{About, Report};

/// After users were told of refusals they are told of further ones so much later, all at once: a guest that goes on writing is refused
/// thousands of times in a second.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The namespace of events about what belongs to none.
const NO_NAMESPACE: &str = "default";

impl Shell {
    /// Begins to tell of what quotas refuse.
    pub(super) fn hear_of_quotas(&self) {
        let (quotas, inputs) = (self.measurements.refusals().quotas().clone(), self.inputs.clone());
        let hearing = async move {
            loop {
                for over in quotas.next().await {
                    if inputs.send(Input::OverQuota(over)).await.is_err() {
                        return;
                    }
                }
                tokio::time::sleep(TOLD_EVERY).await;
            }
        };
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move { shutdown.run_until_cancelled(hearing).await });
    }

    /// Owners of repositories are told of in the namespace of their name. Where there is none, all of them make one event for each quota:
    /// names that clients make up do not drive others out.
    pub(super) fn over_quota(&mut self, over: &OverQuota) {
        let own = self.objects.cluster_object(NAMESPACE, &over.of);
        let (namespace, object, series) = match own {
            Some(object) => (over.of.as_str(), object, over.quota.to_owned()),
            None => {
                let object = self.objects.cluster_object(NAMESPACE, NO_NAMESPACE).unwrap_or_default();
                (NO_NAMESPACE, object, format!("{} of others", over.quota))
            }
        };
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let about = About { kind: NAMESPACE, key: ObjectKey::new(namespace, namespace), uid };
        let report = Report { about: &about, kind: EventKind::Warning, reason: "QuotaExceeded", message: &over.why };
        self.projection.events.report_series(&report, &series, over.times, now());
    }
}
