use api::{WorkerName, replica::ReplicaSpec};
use bytes::Bytes;
use ring::hmac::{HMAC_SHA256, Key, sign, verify};

use crate::store::{Compare, Op, Store, StoreError, object_key};

/// Under which the key is in the store: no kind of the API.
const KEY: (&str, &str, &str) = ("sampan.dev", "placementkeys", "current");
const KEY_BYTES: usize = 32;

/// Seals what is placed, so that no worker can say that it runs what it was never given. Placements are not written down:
/// workers give them back when the control plane begins a new life.
#[derive(Debug)]
pub(crate) struct Seal(Key);

impl Seal {
    /// With the installation's key, which is made the first time.
    pub(crate) async fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let at = object_key(KEY.0, KEY.1, None, KEY.2);
        loop {
            if let Some(kept) = store.get(&at).await? {
                return Ok(Self(Key::new(HMAC_SHA256, &kept.value)));
            }
            let mut made = [0; KEY_BYTES];
            getrandom::fill(&mut made).expect("the system's random numbers");
            let put = Op::Put(at.clone(), Bytes::copy_from_slice(&made));
            match store.txn(vec![Compare::Absent(at.clone())], vec![put]).await {
                // Another made one meanwhile, which is read.
                Err(StoreError::Conflict { .. }) => {}
                done => {
                    done?;
                    return Ok(Self(Key::new(HMAC_SHA256, &made)));
                }
            }
        }
    }

    /// Says that this replica is placed on this worker.
    pub(crate) fn put(&self, worker: &WorkerName, spec: &mut ReplicaSpec) {
        spec.seal = sign(&self.0, &said(worker, spec)).as_ref().to_vec();
    }

    /// Whether this replica was placed on this worker, as it is.
    pub(crate) fn holds(&self, worker: &WorkerName, spec: &ReplicaSpec) -> bool {
        verify(&self.0, &said(worker, spec), &spec.seal).is_ok()
    }
}

/// All that rights follow from, each part with its length before it.
fn said(worker: &WorkerName, spec: &ReplicaSpec) -> Vec<u8> {
    let mut said = Vec::new();
    let mut say = |part: &[u8]| {
        said.extend((part.len() as u64).to_be_bytes());
        said.extend(part);
    };
    say(b"placement 1");
    say(worker.0.as_bytes());
    say(spec.id.0.namespace.as_bytes());
    say(spec.id.0.name.as_bytes());
    say(spec.revision.as_bytes());
    say(&spec.created.micros.to_be_bytes());
    say(spec.image.as_bytes());
    say(spec.digest.to_string().as_bytes());
    say(&spec.reserves.cpu_millis.to_be_bytes());
    say(&spec.reserves.memory_bytes.to_be_bytes());
    for grants in [&spec.grants.outbound, &spec.grants.key_value] {
        say(&(grants.len() as u64).to_be_bytes());
        grants.iter().for_each(|grant| say(grant.as_bytes()));
    }
    said
}
