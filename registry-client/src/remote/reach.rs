//! Which addresses a registry, and whoever it names, may be at. Registries are strangers: what they point at is asked from
//! this machine's place in the network, where much trusts who asks.

use std::{
    env, error, fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::LazyLock,
    time::Duration,
};

use api::outbound;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::time::timeout;

/// How near to this machine an address is. Who is at one is believed about those that are no nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Of the public internet.
    Public,
    /// Of a private network, or of none that is given out: 10.0.0.0/8, fc00::/7, 100.64.0.0/10 and the like.
    Private,
    /// This machine.
    Loopback,
    /// Of the link, where clouds answer who their machines are: 169.254.0.0/16, fe80::/10. There is no registry.
    Link,
}

/// Where some clouds tell machines their credentials, besides the addresses of the link.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

impl Reach {
    /// All of them, the farthest first.
    pub(super) const ALL: [Self; 4] = [Self::Public, Self::Private, Self::Loopback, Self::Link];

    /// That of an address.
    pub(super) fn of(address: IpAddr) -> Self {
        let address = plain(address);
        let is_link = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        if is_link || METADATA.contains(&address) {
            Self::Link
        } else if address.is_loopback() || address.is_unspecified() {
            Self::Loopback
        } else if outbound::Reach::Public.includes(address) {
            Self::Public
        } else {
            Self::Private
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Private => "an address of a private network",
            Self::Loopback => "this machine itself",
            Self::Link => "an address of the link, where clouds keep machines' credentials",
        })
    }
}

/// IPv4 in the clothes of IPv6, which leads to the same: mapped, compatible and by NAT64.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let inner = match v6.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] if high != 0 => Some((high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    inner.map_or(address, |(high, low)| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d).into()
    })
}

/// A host is nearer than it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TooNear {
    pub(super) host: String,
    pub(super) address: IpAddr,
}

impl fmt::Display for TooNear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address } = self;
        let reach = self.reach();
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(_) => write!(f, "{address} is {reach}"),
            Err(_) => write!(f, "{host} is at {address}, {reach}"),
        }
    }
}

impl error::Error for TooNear {}

impl TooNear {
    /// How near it is.
    pub(super) fn reach(&self) -> Reach {
        Reach::of(self.address)
    }

    /// The one because of which something failed.
    pub(super) fn of<'a>(error: &'a (dyn error::Error + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
    }
}

/// Refuses a URL with an address that is nearer than `most`. Names are looked up where the connection is made.
pub(super) fn check(url: &Url, most: Reach) -> Result<(), TooNear> {
    match literal(url) {
        Some(address) if Reach::of(address) > most => {
            Err(TooNear { host: url.host_str().unwrap_or_default().to_owned(), address })
        }
        _ => Ok(()),
    }
}

/// How long a name may take that is looked up here though a proxy does it again.
const LOOKUP: Duration = Duration::from_secs(5);

/// Whether requests may go through a proxy, which looks names up by itself: none of [`Lookup`] then sees what they lead to.
pub(super) fn behind_a_proxy() -> bool {
    !PROXIES.is_empty()
}

/// Refuses a URL whose name leads here to an address that is nearer than `most`, for who asks through a proxy. What cannot be
/// looked up here is known to the proxy alone, and is the proxy's to refuse.
pub(super) async fn check_name(url: &Url, most: Reach) -> Result<(), TooNear> {
    let Some(host) = url.host_str().filter(|_| literal(url).is_none()) else { return Ok(()) };
    let near = |address: IpAddr| TooNear { host: host.to_owned(), address };
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    // What resolvers are to answer by themselves (RFC 6761, section 6.3), whether one here does or not.
    if most < Reach::Loopback && (name == "localhost" || name.ends_with(".localhost")) {
        return Err(near(Ipv4Addr::LOCALHOST.into()));
    }
    let Ok(Ok(found)) = timeout(LOOKUP, tokio::net::lookup_host((host, 0))).await else { return Ok(()) };
    // The proxy takes whichever it likes.
    match found.map(|at| at.ip()).find(|address| Reach::of(*address) > most) {
        Some(address) => Err(near(address)),
        None => Ok(()),
    }
}

/// The address in a URL that has one in place of a name.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Looks names up for connections, and answers only with addresses that these may go to: there is no second look-up that
/// could answer otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookup(pub(super) Reach);

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let (most, host) = (self.0, name.as_str().to_owned());
        Box::pin(async move {
            let all: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            // What is sent through a proxy is looked up there; the proxy itself is who runs this process's choice.
            let is_proxy = PROXIES.iter().any(|proxy| proxy.host_str() == Some(&*host));
            let near = all.first().copied();
            let allowed: Vec<_> = all.into_iter().filter(|at| is_proxy || Reach::of(at.ip()) <= most).collect();
            match (allowed.is_empty(), near) {
                (true, Some(near)) => Err(TooNear { host, address: near.ip() }.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// The proxies of the environment, which the client uses.
static PROXIES: LazyLock<Vec<Url>> = LazyLock::new(|| {
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let set = names.iter().flat_map(|name| [env::var(name), env::var(name.to_ascii_lowercase())]);
    let set = set.filter_map(Result::ok).filter(|proxy| !proxy.is_empty());
    set.filter_map(|proxy| Url::parse(&proxy).or_else(|_| Url::parse(&format!("http://{proxy}"))).ok()).collect()
});

/// How near the other side of a connection is, if it was no proxy's.
pub(super) fn seen(remote: Option<SocketAddr>) -> Option<Reach> {
    let remote = remote?;
    let is_proxy = PROXIES.iter().any(|proxy| proxy.port_or_known_default() == Some(remote.port()));
    (!is_proxy).then(|| Reach::of(remote.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_near_as_they_are_whatever_their_form() {
        for (reach, addresses) in [
            (Reach::Public, &["1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::101:101"][..]),
            (
                Reach::Private,
                &["10.0.0.1", "192.168.1.1", "100.64.0.1", "fd12:3456::1", "::ffff:10.0.0.1", "2002:a00:1::1"],
            ),
            (
                Reach::Loopback,
                &["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
            ),
            (
                Reach::Link,
                &["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200"],
            ),
        ] {
            for address in addresses {
                assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
            }
        }
    }

    #[test]
    fn addresses_in_urls_are_read_as_clients_read_them() {
        for near in
            ["http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://[::ffff:7f00:1]/", "http://0/"]
        {
            let refused = check(&Url::parse(near).unwrap(), Reach::Private).unwrap_err();
            assert_eq!(Reach::of(refused.address), Reach::Loopback, "{near}");
        }
        check(&Url::parse("http://10.1.2.3/").unwrap(), Reach::Private).unwrap();
        check(&Url::parse("https://1.1.1.1/").unwrap(), Reach::Public).unwrap();
    }

    #[tokio::test]
    async fn behind_a_proxy_names_are_looked_up_here_too_and_what_is_not_found_is_the_proxys() {
        let asked = |url: &str, most: Reach| {
            let url = Url::parse(url).unwrap();
            async move { check_name(&url, most).await.map_err(|near| Reach::of(near.address)) }
        };
        for near in ["https://localhost/", "https://a.localhost/", "https://a.LOCALHOST./"] {
            assert_eq!(asked(near, Reach::Public).await, Err(Reach::Loopback), "{near}");
            assert_eq!(asked(near, Reach::Private).await, Err(Reach::Loopback), "{near}");
        }
        assert_eq!(asked("https://localhost/", Reach::Loopback).await, Ok(()));
        assert_eq!(asked("https://registry.invalid/", Reach::Public).await, Ok(()));
        assert_eq!(asked("https://10.0.0.1/", Reach::Public).await, Ok(()), "addresses are checked by `check`");
    }

    #[tokio::test]
    async fn a_name_is_answered_with_no_address_that_is_nearer_than_it_may_be() {
        let asked = |most: Reach| Lookup(most).resolve("localhost".parse().unwrap());
        let error = asked(Reach::Private).await.map(|_| ()).unwrap_err();
        assert_eq!(TooNear::of(&*error).unwrap().host, "localhost");
        assert!(asked(Reach::Loopback).await.unwrap().count() > 0);
    }
}
