//! What parses strangers' bytes, as the fuzzer calls it (`make fuzz`). The tests feed it the seeds in `fuzz/seeds`.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::rewrite::{Peer, forwarded, join_cookies, strip_request, trim_values};

const ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// The fields of a head, one a line as `NAME:VALUE`. Panics if a guest would not be told the peer that asked, or what only the
/// inside may say came through.
pub fn forwarded_fields(bytes: &[u8]) {
    let mut fields = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(200) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            fields.append(name, value);
        }
    }
    for trusted in [false, true] {
        let (peer, mut fields) = (Peer::new(ADDRESS, trusted), fields.clone());
        strip_request(&mut fields, &peer);
        trim_values(&mut fields);
        join_cookies(&mut fields);
        forwarded(&mut fields, &peer);
        let told = |name: &str| fields.get(name).map(HeaderValue::as_bytes);
        let chain = told("x-forwarded-for").expect("who asked is told");
        assert!(chain.ends_with(b"::1"), "the last of the chain is the peer");
        assert!(trusted || chain == b"::1", "a client's word is not taken");
        assert!(trusted || told("forwarded").is_none_or(|element| element.starts_with(b"for=\"[::1]\"")));
        assert!(fields.keys().all(|name| !name.as_str().starts_with("x-sampan-")));
        assert!(fields.get_all("x-forwarded-for").iter().count() == 1);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    #[test]
    fn seeds_of_the_fuzzer_are_told_the_peer_that_asked() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/forwarded");
        let files: Vec<_> = fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty());
        for file in files {
            super::forwarded_fields(&fs::read(file).unwrap());
        }
    }
}
