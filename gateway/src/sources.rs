//! Connections by the address that they come from, so that none has all that a gateway takes.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use api::source_of;
use parking_lot::Mutex;

use crate::GatewayConfig;

/// Without a limit of its own, an address has this part of a listener's connections.
const PART: usize = 4;

/// The connections of all listeners, by source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection, counted at its source until it is dropped.
#[derive(Debug)]
pub(crate) struct Source {
    all: Sources,
    address: IpAddr,
}

impl Sources {
    /// Counts a connection. None, if its source has as many as it may.
    pub(crate) fn take(&self, address: IpAddr, limit: usize) -> Option<Source> {
        let address = source_of(address);
        let mut counts = self.0.lock();
        let count = counts.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Source { all: self.clone(), address })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

impl GatewayConfig {
    /// How many connections may come from an address; `None`: it is not counted. Trusted proxies bring those of others, and so may
    /// proxies of this machine, unless a limit was set.
    pub(crate) fn connections_of(&self, address: IpAddr) -> Option<usize> {
        match self.max_connections_per_source {
            Some(0) => None,
            _ if self.trusts(address) => None,
            Some(limit) => Some(limit),
            None if address.is_loopback() => None,
            None => Some((self.max_connections / PART).max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_has_no_more_than_its_limit_and_a_network_of_ipv6_is_one_source() {
        let sources = Sources::default();
        let first = sources.take(address("2001:db8::1"), 2);
        let second = sources.take(address("2001:db8::ffff:2"), 2);
        assert!(first.is_some() && second.is_some());
        assert!(sources.take(address("2001:db8::3"), 2).is_none());
        assert!(sources.take(address("2001:db8:0:1::3"), 2).is_some());
        assert!(sources.take(address("::ffff:192.0.2.1"), 1).is_some(), "dropped at once");
        let _v4 = sources.take(address("192.0.2.1"), 1).unwrap();
        assert!(sources.take(address("::ffff:192.0.2.1"), 1).is_none());
        drop(first);
        assert!(sources.take(address("2001:db8::3"), 2).is_some());
        drop(second);
        assert_eq!(sources.0.lock().len(), 1, "what has no connection is forgotten");
    }

    #[test]
    fn proxies_that_are_trusted_and_this_machine_are_not_limited_unless_that_is_said() {
        let mut config = GatewayConfig { max_connections: 100, ..GatewayConfig::default() };
        config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        assert_eq!(config.connections_of(address("192.0.2.1")), Some(25));
        assert_eq!(config.connections_of(address("127.0.0.1")), None);
        assert_eq!(config.connections_of(address("10.1.2.3")), None);
        config.max_connections_per_source = Some(7);
        assert_eq!(config.connections_of(address("127.0.0.1")), Some(7));
        assert_eq!(config.connections_of(address("10.1.2.3")), None);
        config.max_connections_per_source = Some(0);
        assert_eq!(config.connections_of(address("192.0.2.1")), None);
    }
}
