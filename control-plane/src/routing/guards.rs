//! NetworkPolicies as gateways are told them: who may call each Service, looked up by the caller's revision, and not decided anew
//! for each request.

use std::collections::{BTreeMap, BTreeSet};

use api::{
    ObjectKey,
    session::{Guard, Leaving, Verdict},
};
use scheduler::Template;

use super::{
    Service,
    policy::{Denied, Labels, Outside, Pod, Policy, Port, decide, decide_for_gateway, outside},
};

/// Requests from outside come from a gateway. It counts as a pod of this namespace, with this label.
const GATEWAY_NAMESPACE: &str = "kube-system";
const GATEWAY_LABEL: (&str, &str) = ("app.kubernetes.io/name", "sampan-gateway");
/// Every namespace has it, and no other value of it.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
const TEMPLATE_HASH: &str = "pod-template-hash";

type OfNamespaces = Vec<(String, Verdict)>;
type OfRevisions = Vec<(ObjectKey, Verdict)>;

/// All that decides who may call whom.
pub(crate) struct Policies<'a> {
    /// In order of their names.
    policies: Vec<Policy>,
    namespaces: BTreeMap<&'a str, Labels>,
    /// By revision.
    callers: Vec<(ObjectKey, Labels)>,
    egress: BTreeSet<String>,
}

impl<'a> Policies<'a> {
    pub(crate) fn new<'t>(
        policies: impl Iterator<Item = &'a Policy>,
        namespaces: impl Iterator<Item = (&'a str, &'a Labels)>,
        callers: impl Iterator<Item = (ObjectKey, &'t Template)>,
    ) -> Self {
        let policies: Vec<Policy> = policies.cloned().collect();
        let named = |(name, labels): (&'a str, &Labels)| {
            let mut labels = labels.clone();
            labels.insert(NAME_LABEL.to_owned(), name.to_owned());
            (name, labels)
        };
        let egress = policies.iter().filter(|policy| policy.isolates_egress());
        Self {
            egress: egress.map(|policy| policy.key.namespace.to_string()).collect(),
            policies,
            namespaces: namespaces.map(named).collect(),
            callers: callers.map(|(revision, template)| (revision, pod_labels(template))).collect(),
        }
    }

    /// Who may call the ports of a Service that has these replicas behind it; nothing, where everybody may. A call is allowed that
    /// each kind of its replicas may be sent: one that only some may be is not sent by chance.
    pub(crate) fn guards<'s>(&'s self, key: &ObjectKey, service: &Service, behind: &[&Template]) -> Vec<Guard> {
        let behind: Vec<(Labels, BTreeMap<String, u16>)> =
            behind.iter().map(|template| (pod_labels(template), port_names(template))).collect();
        let own = self.policies.iter().filter(|policy| policy.key.namespace == key.namespace);
        let isolated = own.clone().any(|policy| behind.iter().any(|(labels, _)| policy.isolates_ingress_of(labels)));
        if behind.is_empty() || (!isolated && self.egress.is_empty()) {
            return Vec::new();
        }
        let concerns = |namespace: &str| isolated || self.egress.contains(namespace);
        let mut guards = Vec::new();
        for port in &service.ports {
            let each = |decided: &dyn Fn(Pod<'_>, Port<'_>) -> Result<(), Denied<'s>>| -> Verdict {
                behind.iter().find_map(|(labels, names)| {
                    let to = Pod { labels: Some(labels), ..self.pod(&key.namespace, None) };
                    let number = service.target(port.port, names);
                    let denied = decided(to, Port { number, names }).err()?;
                    Some(denied.at(number).to_string())
                })
            };
            let verdict = |from: Pod<'_>| each(&|to, port| decide(&self.policies, from, to, port));
            let others = verdict(Pod { namespace: "", labels: None, of_namespace: None });
            let (namespaces, revisions) = self.exceptions(&others, concerns, &verdict);
            let label = Labels::from([(GATEWAY_LABEL.0.to_owned(), GATEWAY_LABEL.1.to_owned())]);
            let gateway = Pod { labels: Some(&label), ..self.pod(GATEWAY_NAMESPACE, None) };
            let outside = each(&|to, port| decide_for_gateway(&self.policies, gateway, to, port));
            if others.is_some() || outside.is_some() || !namespaces.is_empty() || !revisions.is_empty() {
                guards.push(Guard { port: port.port, others, namespaces, revisions, outside });
            }
        }
        guards
    }

    /// Who may send to hosts outside, of those who may not send to all.
    pub(crate) fn leaving(&self) -> Vec<Leaving> {
        let ports = self.policies.iter().flat_map(Policy::egress_ports);
        let mut first: BTreeSet<u16> = BTreeSet::from([0]);
        first.extend(ports.flat_map(|(from, to)| [Some(from), to.checked_add(1)]).flatten());
        let ends = first.iter().skip(1).map(|next| next - 1).chain([u16::MAX]);
        let spans = first.iter().copied().zip(ends);
        // What each may is looked for once, and not for each span.
        let namespaces: BTreeMap<&str, Outside<'_>> =
            self.egress.iter().map(|name| (name.as_str(), outside(&self.policies, self.pod(name, None)))).collect();
        let callers = self.callers.iter().filter(|(revision, _)| self.egress.contains(&*revision.namespace));
        let revisions: Vec<(&ObjectKey, Outside<'_>)> = callers
            .map(|(revision, labels)| (revision, outside(&self.policies, self.pod(&revision.namespace, Some(labels)))))
            .collect();
        let verdict = |may: &Outside<'_>, port| may.decide(port).err().map(|denied| denied.to_string());
        let told = spans.filter_map(|(from, to)| {
            let of_namespaces = namespaces.iter().map(|(name, may)| ((*name).to_owned(), verdict(may, from)));
            let of_revisions = revisions.iter().map(|(revision, may)| ((*revision).clone(), verdict(may, from)));
            // Others than those of these namespaces may send what they like.
            let differs = |(revision, is): &(ObjectKey, Verdict)| {
                namespaces.get(&*revision.namespace).is_none_or(|may| verdict(may, from) != *is)
            };
            let leaving = Leaving {
                ports: (from, to),
                namespaces: of_namespaces.filter(|(_, is)| is.is_some()).collect(),
                revisions: of_revisions.filter(differs).collect(),
            };
            (!leaving.namespaces.is_empty() || !leaving.revisions.is_empty()).then_some(leaving)
        });
        told.collect()
    }

    /// Those for whom the verdict is another than for others: namespaces, as far as they are not known better, and revisions.
    fn exceptions(
        &self,
        others: &Verdict,
        concerns: impl Fn(&str) -> bool,
        verdict: &impl Fn(Pod<'_>) -> Verdict,
    ) -> (OfNamespaces, OfRevisions) {
        let concerned =
            self.namespaces.keys().copied().chain(self.egress.iter().map(String::as_str)).filter(|it| concerns(it));
        let namespaces: BTreeMap<String, Verdict> = concerned
            .map(|name| (name.to_owned(), verdict(self.pod(name, None))))
            .filter(|(_, is)| is != others)
            .collect();
        let callers = self.callers.iter().filter(|(revision, _)| concerns(&revision.namespace));
        let revisions =
            callers.map(|(revision, labels)| (revision.clone(), verdict(self.pod(&revision.namespace, Some(labels)))));
        let differs =
            |(revision, is): &(ObjectKey, Verdict)| namespaces.get(&*revision.namespace).unwrap_or(others) != is;
        let revisions = revisions.filter(differs).collect();
        (namespaces.into_iter().collect(), revisions)
    }

    fn pod<'p>(&'p self, namespace: &'p str, labels: Option<&'p Labels>) -> Pod<'p> {
        Pod { namespace, labels, of_namespace: self.namespaces.get(namespace) }
    }
}

fn pod_labels(template: &Template) -> Labels {
    let mut labels = template.labels.clone();
    labels.insert(TEMPLATE_HASH.to_owned(), template.hash.clone());
    labels
}

/// The ports of its container that have names.
fn port_names(template: &Template) -> BTreeMap<String, u16> {
    let source = template.source.read();
    let ports = source["spec"]["containers"][0]["ports"].as_array().cloned().unwrap_or_default();
    let named = ports.iter().filter_map(|port| {
        let number = u16::try_from(port["containerPort"].as_u64()?).ok()?;
        Some((port["name"].as_str()?.to_owned(), number))
    });
    named.collect()
}
