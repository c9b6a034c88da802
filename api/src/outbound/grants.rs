use std::net::IpAddr;

use super::address::is_public;

/// A host in the `sampan.dev/outbound` annotation that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` in the annotation `{}` is not a host: write `NAME`, `NAME:PORT`, `*.example.com` or an IP address",
    crate::annotations::OUTBOUND
)]
pub struct InvalidGrant {
    text: String,
}

/// The hosts that a guest may send requests to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboundGrants(Vec<Grant>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    host: HostPattern,
    /// `None`: every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Name(String),
    /// Every name that ends so, with its leading dot.
    Below(String),
    Address(IpAddr),
}

/// Which addresses a granted host may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those of the public internet alone.
    Public,
    /// Any: the grant itself is an address or `localhost`.
    Any,
}

impl Reach {
    /// Whether this address is among them.
    pub fn includes(self, address: IpAddr) -> bool {
        self == Self::Any || is_public(address)
    }

    /// What is among the addresses of both.
    pub fn narrowed_to(self, other: Self) -> Self {
        if self == Self::Any { other } else { self }
    }
}

impl OutboundGrants {
    /// From what the `sampan.dev/outbound` annotation names: `NAME`, `NAME:PORT`, `*.example.com` or an IP address each.
    pub fn parse(grants: &[String]) -> Result<Self, InvalidGrant> {
        grants.iter().map(|grant| Grant::parse(grant)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether requests to this host are granted, and which addresses it may have then.
    pub fn allow(&self, host: &str, port: u16) -> Option<Reach> {
        let host = normal(host);
        let address = parse_address(&host);
        let mut reaches =
            self.0.iter().filter(|grant| grant.port.is_none_or(|granted| granted == port)).filter_map(|grant| {
                match (&grant.host, address) {
                    (HostPattern::Address(granted), Some(address)) => (*granted == address).then_some(Reach::Any),
                    (HostPattern::Name(name), None) if *name == host => {
                        Some(if name == "localhost" { Reach::Any } else { Reach::Public })
                    }
                    (HostPattern::Below(suffix), None) => {
                        (host.len() > suffix.len() && host.ends_with(suffix.as_str())).then_some(Reach::Public)
                    }
                    _ => None,
                }
            });
        reaches.next()
    }
}

impl Grant {
    fn parse(text: &str) -> Result<Self, InvalidGrant> {
        let invalid = || InvalidGrant { text: text.to_owned() };
        let trimmed = text.trim();
        if let Some(address) = parse_address(trimmed) {
            return Ok(Self { host: HostPattern::Address(address), port: None });
        }
        let (host, port) = match trimmed.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| invalid())?)),
            None => (trimmed, None),
        };
        if let Some(address) = parse_address(host) {
            return Ok(Self { host: HostPattern::Address(address), port });
        }
        let host = normal(host);
        let host = match host.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') && is_name(&suffix[1..]) => HostPattern::Below(suffix.to_owned()),
            None if is_name(&host) => HostPattern::Name(host),
            _ => return Err(invalid()),
        };
        Ok(Self { host, port })
    }
}

/// An address, in brackets or not.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok()
}

fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether this may be a host name. Underscores occur in the wild. All digits at the end would be an address.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let last_is_no_number = text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && text.split('.').all(label) && last_is_no_number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(texts: &[&str]) -> OutboundGrants {
        OutboundGrants::parse(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn nothing_is_granted_unless_named() {
        assert_eq!(grants(&[]).allow("example.com", 443), None);
    }

    #[test]
    fn names_are_granted_whatever_their_case_and_final_dot() {
        let grants = grants(&["API.example.com", "products"]);
        assert_eq!(grants.allow("api.example.com", 443), Some(Reach::Public));
        assert_eq!(grants.allow("Api.Example.com.", 80), Some(Reach::Public));
        assert_eq!(grants.allow("products", 80), Some(Reach::Public));
        assert_eq!(grants.allow("products.shop", 80), None);
        assert_eq!(grants.allow("evil-api.example.com", 443), None);
    }

    #[test]
    fn a_port_narrows_the_grant() {
        let grants = grants(&["db.example.com:8443", "localhost:9000"]);
        assert_eq!(grants.allow("db.example.com", 8443), Some(Reach::Public));
        assert_eq!(grants.allow("db.example.com", 443), None);
        assert_eq!(grants.allow("localhost", 9000), Some(Reach::Any));
        assert_eq!(grants.allow("localhost", 9001), None);
    }

    #[test]
    fn a_star_grants_what_is_below_and_not_the_name_itself() {
        let grants = grants(&["*.example.com"]);
        assert_eq!(grants.allow("a.b.example.com", 443), Some(Reach::Public));
        assert_eq!(grants.allow("example.com", 443), None);
        assert_eq!(grants.allow("evilexample.com", 443), None);
        assert_eq!(grants.allow(".example.com", 443), None);
    }

    #[test]
    fn addresses_are_granted_by_value_and_by_nothing_else() {
        let grants = grants(&["10.0.0.7", "[::1]:8080", "*.example.com"]);
        assert_eq!(grants.allow("10.0.0.7", 80), Some(Reach::Any));
        assert_eq!(grants.allow("[::1]", 8080), Some(Reach::Any));
        assert_eq!(grants.allow("[::1]", 80), None);
        assert_eq!(grants.allow("[0:0:0:0:0:0:0:1]", 8080), Some(Reach::Any));
        assert_eq!(grants.allow("10.0.0.8", 80), None);
    }

    #[test]
    fn what_is_no_host_is_refused_by_name() {
        for text in ["", "*", "*example.com", "a.*.com", "http://x", "x:http", "x y", "1.2.3", "a..b", "*.", "x:70000"]
        {
            let error = OutboundGrants::parse(&[text.to_owned()]).unwrap_err().to_string();
            assert!(error.contains("sampan.dev/outbound"), "{text}: {error}");
        }
    }
}
