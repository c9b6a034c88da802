//! Hosts that are not to be had for the asking.

use std::fmt;

/// The domains in which Services are called `SERVICE.NAMESPACE`, by strangers and by guests.
const OF_SERVICES: [&str; 3] = ["localhost", "svc", "svc.cluster.local"];
/// Domains in which nobody has a host: the cluster's, and those of the program itself.
const OWN: [&str; 6] = ["svc", "cluster.local", "sampan", "sampan.localhost", "sampan.internal", "sampan.dev"];

/// Why an Ingress may not have a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// It is what Services of this namespace are called.
    Services(String),
    /// It is in this domain, of the cluster or the program.
    Domain(&'static str),
}

/// Whether a host is not for Ingresses of this namespace. `host` is normal: in lower case, without a dot at its end.
pub(crate) fn reserved(host: &str, namespace: &str) -> Option<Reserved> {
    let of_services = OF_SERVICES.iter().find_map(|domain| {
        let (_service, namespace) = below(host, domain)?.split_once('.')?;
        (!namespace.contains('.')).then_some(namespace)
    });
    match of_services {
        Some(owner) if owner == namespace => None,
        Some(owner) => Some(Reserved::Services(owner.to_owned())),
        None => {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let own = OWN.into_iter().find(|domain| name == *domain || below(name, domain).is_some())?;
            Some(Reserved::Domain(own))
        }
    }
}

fn below<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    host.strip_suffix(domain)?.strip_suffix('.')
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Services(namespace) => {
                write!(f, "it is what services of namespace {namespace} are called: make the Ingress there")
            }
            Self::Domain(domain) => write!(f, "hosts of `{domain}` are sampan's own: choose another"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services_are_for_their_namespace_and_those_of_the_program_for_nobody() {
        for (host, to_shop) in [
            ("shop.example", true),
            ("localhost", true),
            ("app.localhost", true),
            ("*.localhost", true),
            ("a.b.c.localhost", true),
            ("cart.shop.localhost", true),
            ("*.shop.localhost", true),
            ("cart.shop.svc", true),
            ("cart.shop.svc.cluster.local", true),
            ("cart.shopping.localhost", false),
            ("*.other.localhost", false),
            ("cart.other.svc", false),
            ("cart.other.svc.cluster.local", false),
            ("svc", false),
            ("shop.svc", false),
            ("*.svc", false),
            ("cluster.local", false),
            ("a.cluster.local", false),
            ("a.b.pod.cluster.local", false),
            ("sampan", false),
            ("*.sampan", false),
            ("sampan.localhost", false),
            ("api.sampan.localhost", false),
            ("a.worker.sampan.internal", false),
            ("sampan.dev", false),
            ("notsampan.dev", true),
            ("mysvc", true),
        ] {
            assert_eq!(reserved(host, "shop").is_none(), to_shop, "{host}");
        }
        assert_eq!(reserved("cart.other.svc", "shop"), Some(Reserved::Services("other".to_owned())));
    }
}
