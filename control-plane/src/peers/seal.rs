use api::{Timestamp, WorkerName, replica::ReplicaSpec};
use bytes::Bytes;
use ring::hmac::{HMAC_SHA256, Key, sign, verify};

use store::{Compare, Op, Store, StoreError, object_key};

/// Under which the key is in the store: no kind of the API.
const KEY: (&str, &str, &str) = ("sampan.dev", "placementkeys", "current");
const KEY_BYTES: usize = 32;

/// Seals what is placed, so that no worker can say that it runs what it was never given. Placements are not written down before they
/// are told: workers give them back when the control plane begins a new life, and `noted` says which of them were over.
#[derive(Debug)]
pub(crate) struct Seal {
    key: Key,
    /// When something was sealed last: each time is later than all before, also those of earlier lives.
    last: Timestamp,
}

impl Seal {
    /// With the installation's key, which is made the first time.
    pub(crate) async fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let at = object_key(KEY.0, KEY.1, None, KEY.2);
        loop {
            if let Some(kept) = store.get(&at).await? {
                return Ok(Self::new(&kept.value));
            }
            let mut made = [0; KEY_BYTES];
            getrandom::fill(&mut made).expect("the system's random numbers");
            let put = Op::Put(at.clone(), Bytes::copy_from_slice(&made));
            match store.txn(vec![Compare::Absent(at.clone())], vec![put]).await {
                // Another made one meanwhile, which is read.
                Err(StoreError::Conflict { .. }) => {}
                done => {
                    done?;
                    return Ok(Self::new(&made));
                }
            }
        }
    }

    fn new(key: &[u8]) -> Self {
        Self { key: Key::new(HMAC_SHA256, key), last: Timestamp::default() }
    }

    /// What is sealed from now on is later than this.
    pub(crate) fn go_on_from(&mut self, at: Timestamp) {
        self.last = self.last.max(at);
    }

    /// When something was sealed last.
    pub(crate) fn last(&self) -> Timestamp {
        self.last
    }

    /// Says that this replica is placed on this worker, and since when.
    pub(crate) fn put(&mut self, worker: &WorkerName, spec: &mut ReplicaSpec, now: Timestamp) {
        self.last = now.max(Timestamp { micros: self.last.micros + 1 });
        let at = self.last.micros.to_be_bytes();
        spec.seal = [&at, sign(&self.key, &said(worker, spec, at)).as_ref()].concat();
    }

    /// When this replica was placed on this worker, as it is; `None`: it never was.
    pub(crate) fn holds(&self, worker: &WorkerName, spec: &ReplicaSpec) -> Option<Timestamp> {
        let (at, seal) = spec.seal.split_first_chunk()?;
        verify(&self.key, &said(worker, spec, *at), seal).ok()?;
        Some(Timestamp { micros: u64::from_be_bytes(*at) })
    }
}

/// All that rights follow from, each part with its length before it.
fn said(worker: &WorkerName, spec: &ReplicaSpec, at: [u8; 8]) -> Vec<u8> {
    let mut said = Vec::new();
    let mut say = |part: &[u8]| {
        said.extend((part.len() as u64).to_be_bytes());
        said.extend(part);
    };
    say(b"placement 2");
    say(&at);
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
