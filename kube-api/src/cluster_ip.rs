//! Addresses of Services within the cluster: each has its own, out of one range, for as long as it lives.
//!
//! Nothing is routed by them: replicas are reached by the names of Services. Clients wait for them, and show them.
//! Who holds an address is written down with the Service, in one transaction, so that no two get the same.

use std::net::Ipv4Addr;

use api::ObjectKey;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{Compare, Op, Store, StoreError, Versioned, object_key};

use crate::{kind::SERVICE, resources::Resource};

/// The range, as `kubeadm` sets it up: `10.96.0.0/12`.
const RANGE: (Ipv4Addr, u32) = (Ipv4Addr::new(10, 96, 0, 0), 12);
/// Addresses at the start of the range that are given to nobody who does not ask for them: the network's own, and those
/// that clusters give to their API and their DNS.
const SET_ASIDE: u32 = 16;
/// Addresses that are looked at for a free one. With half of the range given away, all are taken once in 2^64 times.
const MAX_TRIES: u32 = 64;
/// Under which the holders of addresses are in the store: no kind of the API.
const GROUP: &str = "sampan.dev";
const PLURAL: &str = "cluster-addresses";

/// An address, and what makes it the Service's own in the transaction that stores the Service.
#[derive(Debug)]
pub struct Address {
    /// The address.
    pub ip: Ipv4Addr,
    /// Holds as long as nobody else has taken it.
    pub compare: Compare,
    /// Notes the holder.
    pub put: Op,
}

/// Why a Service gets no address.
#[derive(Debug, thiserror::Error)]
pub enum NoAddress {
    /// The one that it asks for is none of the range.
    #[error("{0} is not in the range of the addresses of Services, {network}/{bits}: leave it away, and one is chosen", network = RANGE.0, bits = RANGE.1)]
    OutOfRange(Ipv4Addr),
    /// The one that it asks for has a holder.
    #[error("{ip} is already the address of the Service {holder}: leave it away, and another one is chosen")]
    Taken {
        /// The one that it asks for.
        ip: Ipv4Addr,
        /// `NAMESPACE/NAME` of the Service that has it.
        holder: String,
    },
    /// So many are given away that no free one was found.
    #[error("no free address was found in {network}/{bits}: delete Services, or write `clusterIP: None`", network = RANGE.0, bits = RANGE.1)]
    NoneFree,
    /// The store did not say.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    namespace: String,
    name: String,
}

/// Finds an address for a Service: `wanted`, or one that follows from its names as far as that is free.
pub async fn find(store: &dyn Store, service: &ObjectKey, wanted: Option<Ipv4Addr>) -> Result<Address, NoAddress> {
    if let Some(ip) = wanted {
        if !is_in_range(ip) {
            return Err(NoAddress::OutOfRange(ip));
        }
        return match look_at(store, service, ip).await? {
            Ok(address) => Ok(address),
            Err(holder) => Err(NoAddress::Taken { ip, holder: format!("{}/{}", holder.namespace, holder.name) }),
        };
    }
    let start = number_of(service);
    for attempt in 0..MAX_TRIES {
        if let Ok(address) = look_at(store, service, candidate(start.wrapping_add(attempt.into()))).await? {
            return Ok(address);
        }
    }
    Err(NoAddress::NoneFree)
}

/// What else is deleted with an object of this kind: the record of its address.
pub fn release(resource: &Resource, object: &Value) -> Option<Op> {
    let ip = of(object).filter(|_| resource.has_cluster_ip)?;
    Some(Op::Delete(key(ip)))
}

/// The key of the record of who holds an address. Who deletes the Service deletes it.
fn key(ip: Ipv4Addr) -> String {
    object_key(GROUP, PLURAL, None, &ip.to_string())
}

/// The address of a stored Service.
fn of(service: &Value) -> Option<Ipv4Addr> {
    service["spec"]["clusterIP"].as_str()?.parse().ok()
}

/// The address, or who holds it. Of a holder that is gone, or has another address, nothing is left to heed.
async fn look_at(store: &dyn Store, service: &ObjectKey, ip: Ipv4Addr) -> Result<Result<Address, Holder>, StoreError> {
    let key = key(ip);
    let own = Holder { namespace: service.namespace.to_string(), name: service.name.to_string() };
    let compare = match store.get(&key).await? {
        None => Compare::Absent(key.clone()),
        Some(Versioned { value, revision }) => {
            match serde_json::from_slice::<Holder>(&value) {
                Ok(holder) if holder != own && holds(store, &holder, ip).await? => return Ok(Err(holder)),
                _ => {}
            }
            Compare::At(key.clone(), revision)
        }
    };
    let record = serde_json::to_vec(&own).expect("plain data is JSON");
    Ok(Ok(Address { ip, compare, put: Op::Put(key, Bytes::from(record)) }))
}

async fn holds(store: &dyn Store, holder: &Holder, ip: Ipv4Addr) -> Result<bool, StoreError> {
    let key = SERVICE.key(&ObjectKey::new(holder.namespace.as_str(), holder.name.as_str()));
    let service = store.get(&key).await?.and_then(|found| serde_json::from_slice::<Value>(&found.value).ok());
    Ok(service.as_ref().and_then(of) == Some(ip))
}

fn is_in_range(ip: Ipv4Addr) -> bool {
    let (network, bits) = RANGE;
    let shift = u32::BITS - bits;
    u32::from(ip) >> shift == u32::from(network) >> shift
}

fn candidate(number: u64) -> Ipv4Addr {
    let (network, bits) = RANGE;
    // The last address of the range is its broadcast.
    let free = u64::from((1_u32 << (u32::BITS - bits)) - 1 - SET_ASIDE);
    let offset = u32::try_from(number % free).expect("it is less than the size of the range");
    Ipv4Addr::from(u32::from(network) + SET_ASIDE + offset)
}

fn number_of(service: &ObjectKey) -> u64 {
    let hash = Sha256::digest(format!("{}/{}", service.namespace, service.name));
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use api::Timestamp;
    use serde_json::json;

    use super::*;
    use store::MemoryStore;

    async fn create(store: &MemoryStore, name: &str, wanted: Option<Ipv4Addr>) -> Result<Ipv4Addr, NoAddress> {
        let service = ObjectKey::new("default", name);
        let Address { ip, compare, put } = find(store, &service, wanted).await?;
        let object = json!({ "spec": { "clusterIP": ip.to_string() } });
        store.txn(vec![compare], vec![put, Op::Put(SERVICE.key(&service), object.to_string().into())]).await?;
        Ok(ip)
    }

    #[tokio::test]
    async fn an_address_is_of_the_range_and_of_one_service_alone() {
        let store = MemoryStore::new(Timestamp::from_secs(1));
        let first = create(&store, "a", None).await.unwrap();
        assert!(is_in_range(first));
        let taken = create(&store, "b", Some(first)).await.unwrap_err();
        assert!(taken.to_string().contains("default/a"), "{taken}");
        assert!(matches!(create(&store, "b", Some(Ipv4Addr::new(10, 1, 0, 1))).await, Err(NoAddress::OutOfRange(_))));
        let second = create(&store, "b", None).await.unwrap();
        assert_ne!(first, second);
        // As long as it lives, and as long as its record does.
        assert_eq!(create(&store, "a", None).await.unwrap(), first);
    }

    #[tokio::test]
    async fn the_next_free_address_is_taken_where_names_lead_to_the_same() {
        let store = MemoryStore::new(Timestamp::from_secs(1));
        let wanted = find(&store, &ObjectKey::new("default", "a"), None).await.unwrap().ip;
        create(&store, "other", Some(wanted)).await.unwrap();
        let next = create(&store, "a", None).await.unwrap();
        assert_eq!(u32::from(next), u32::from(wanted) + 1);
    }

    #[tokio::test]
    async fn the_address_of_a_service_that_is_gone_is_free_again() {
        let store = MemoryStore::new(Timestamp::from_secs(1));
        let ip = create(&store, "a", None).await.unwrap();
        store.txn(Vec::new(), vec![Op::Delete(SERVICE.key(&ObjectKey::new("default", "a")))]).await.unwrap();
        assert_eq!(create(&store, "b", Some(ip)).await.unwrap(), ip);
    }

    #[test]
    fn no_candidate_is_set_aside_or_beyond_the_range() {
        for number in [0, 1, u64::MAX, (1 << 20) - 1, (1 << 20) - 17, 1 << 20] {
            let ip = candidate(number);
            assert!(is_in_range(ip) && u32::from(ip) >= u32::from(RANGE.0) + SET_ASIDE, "{ip}");
            assert_ne!(ip, Ipv4Addr::new(10, 111, 255, 255));
        }
    }
}
