use std::net::{IpAddr, Ipv6Addr};

/// Whoever has one address of IPv6 has a network of them, with this many bits in common.
const NETWORK_BITS: u32 = 64;

/// What counts as one source of connections, however many of them it makes: an address, or of IPv6 the network of 64 bits that it
/// is in. An address of IPv4 that is written as one of IPv6 is the same as without.
pub fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::MAX << (Ipv6Addr::BITS - NETWORK_BITS);
            Ipv6Addr::from_bits(address.to_bits() & network).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> IpAddr {
        source_of(text.parse().unwrap())
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:f::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
    }

    #[test]
    fn an_address_of_ipv4_is_the_same_however_it_is_written() {
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }
}
