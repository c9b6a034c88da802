//! What the host holds for guests, as a part of what their replica may have.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;

use super::memory::{MemoryAccount, MemoryBudget, MemoryLimitReached};

/// So much of what an instance writes for one request is not counted: most answers are smaller, and cost nothing.
const UNCOUNTED_BYTES: u64 = 64 << 10;
/// What is held for the time of one call alone is counted above this.
const SMALL_BYTES: u64 = 16 << 10;
/// So much the host holds for an instance though its replica's memory is used up. It is counted then too: the pieces of a body that
/// is on its way would otherwise fail wherever guests have taken all of the limit for themselves.
const GRACE_BYTES: u64 = 1 << 20;

/// What the host holds for one instance. Made when the first of it is counted.
pub(super) struct Holding {
    budget: Arc<MemoryBudget>,
    bytes: AtomicU64,
}

/// Bytes that the host holds for an instance, and that count as its replica's until this is dropped: with the value, the piece of a
/// body or the handle that they are held for.
pub(crate) struct Charge {
    holding: Arc<Holding>,
    bytes: u64,
}

impl Charge {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it another number of bytes.
    pub(crate) fn resize(&mut self, bytes: u64) -> Result<(), MemoryLimitReached> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.holding.take(more)?,
            None => self.holding.give_back(self.bytes - bytes),
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.holding.give_back(self.bytes);
    }
}

impl Holding {
    fn take(&self, bytes: u64) -> Result<(), MemoryLimitReached> {
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let Err(lack) = self.budget.take(bytes) else { return Ok(()) };
        if held <= GRACE_BYTES {
            self.budget.take_anyway(bytes);
            return Ok(());
        }
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Err(MemoryLimitReached::new(lack, held))
    }

    fn give_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.give_back(bytes);
    }
}

/// The host's part of what an instance has.
#[derive(Default)]
pub(super) struct HostPart {
    holding: Option<Arc<Holding>>,
    /// What was written for this request and is not counted.
    uncounted: u64,
    /// What cannot be told apart counts until the request ends.
    until_the_end: Option<Charge>,
}

impl MemoryAccount {
    /// Counts what the host holds for this instance.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<Charge, MemoryLimitReached> {
        let holding = self
            .host
            .holding
            .get_or_insert_with(|| Arc::new(Holding { budget: self.budget.clone(), bytes: AtomicU64::new(0) }));
        holding.take(bytes)?;
        Ok(Charge { holding: holding.clone(), bytes })
    }

    /// What a guest writes, counted until the last who holds it lets go of it: who sends it to its client, for example.
    pub(crate) fn written(&mut self, bytes: Vec<u8>) -> Result<Bytes, MemoryLimitReached> {
        if self.is_uncounted(bytes.len() as u64) {
            return Ok(bytes.into());
        }
        let charge = self.charge(bytes.capacity() as u64)?;
        Ok(Bytes::from_owner(Counted { bytes, _charge: charge }))
    }

    /// The same, of what has come from elsewhere.
    pub(crate) fn passed_on(&mut self, bytes: Bytes) -> Result<Bytes, MemoryLimitReached> {
        if self.is_uncounted(bytes.len() as u64) {
            return Ok(bytes);
        }
        let charge = self.charge(bytes.len() as u64)?;
        Ok(Bytes::from_owner(Counted { bytes, _charge: charge }))
    }

    /// Counts what is held for the time of a call; few bytes are not.
    pub(crate) fn held_while(&mut self, bytes: u64) -> Result<Option<Charge>, MemoryLimitReached> {
        (bytes > SMALL_BYTES).then(|| self.charge(bytes)).transpose()
    }

    /// Counts what is held until the request ends, or for shorter, as for fields, whose end nobody is told of.
    pub(crate) fn charge_until_the_end(&mut self, bytes: u64) -> Result<(), MemoryLimitReached> {
        if self.is_uncounted(bytes) {
            return Ok(());
        }
        match &mut self.host.until_the_end {
            Some(charge) => charge.resize(charge.bytes.saturating_add(bytes)),
            None => {
                self.host.until_the_end = Some(self.charge(bytes)?);
                Ok(())
            }
        }
    }

    /// Another request begins. `nothing_is_left`: the guest let go of all that it had for the one before.
    pub(crate) fn next_request(&mut self, nothing_is_left: impl FnOnce() -> bool) {
        if self.host.until_the_end.is_none() || nothing_is_left() {
            self.host.until_the_end = None;
            self.host.uncounted = 0;
        }
    }

    fn is_uncounted(&mut self, bytes: u64) -> bool {
        let uncounted = self.host.uncounted.saturating_add(bytes);
        let within = uncounted <= UNCOUNTED_BYTES;
        if within {
            self.host.uncounted = uncounted;
        }
        within
    }

    /// What the host holds for it, as far as that is counted.
    pub(super) fn host_bytes(&self) -> u64 {
        self.host.holding.as_ref().map_or(0, |holding| holding.bytes.load(Ordering::Relaxed))
    }
}

struct Counted<B> {
    bytes: B,
    _charge: Charge,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Counted<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 8 << 20;

    fn account() -> (Arc<MemoryBudget>, MemoryAccount) {
        let budget = MemoryBudget::alone(LIMIT);
        (budget.clone(), MemoryAccount::new(budget))
    }

    #[test]
    fn what_the_host_holds_counts_until_it_is_dropped() {
        let (budget, mut account) = account();
        let mut charge = account.charge(1000).unwrap();
        assert_eq!((budget.used_bytes(), account.host_bytes()), (1000, 1000));
        charge.resize(3000).unwrap();
        assert_eq!(budget.used_bytes(), 3000);
        charge.resize(100).unwrap();
        drop(charge);
        assert_eq!((budget.used_bytes(), account.host_bytes()), (0, 0));
    }

    #[test]
    fn beyond_the_limit_it_is_refused_with_what_is_held() {
        let (budget, mut account) = account();
        let held = account.charge(LIMIT).unwrap();
        let refused = account.charge(1).err().unwrap();
        assert!(matches!(refused, MemoryLimitReached::OfReplica { host_bytes } if host_bytes == LIMIT + 1));
        assert_eq!(budget.used_bytes(), LIMIT);
        drop(held);
        assert!(account.charge(LIMIT).is_ok());
    }

    #[test]
    fn where_guests_have_taken_all_a_body_can_still_be_on_its_way() {
        let (budget, mut account) = account();
        budget.take_anyway(LIMIT);
        let piece = account.charge(GRACE_BYTES).unwrap();
        assert_eq!(budget.used_bytes(), LIMIT + GRACE_BYTES);
        assert!(account.charge(1).is_err());
        drop(piece);
        assert!(account.charge(1).is_ok());
    }

    #[test]
    fn what_is_written_counts_beyond_the_first_of_a_request_and_as_long_as_anybody_has_it() {
        let (budget, mut account) = account();
        let small = account.written(vec![1; UNCOUNTED_BYTES as usize]).unwrap();
        assert_eq!((small.len() as u64, budget.used_bytes()), (UNCOUNTED_BYTES, 0));
        let counted = account.written(vec![1; 1000]).unwrap();
        let half = counted.slice(500..);
        drop(counted);
        drop(account);
        assert_eq!((half.len(), budget.used_bytes()), (500, 1000));
        drop(half);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn what_counts_until_the_end_of_a_request_stays_counted_where_something_is_left_of_it() {
        let (budget, mut account) = account();
        account.charge_until_the_end(UNCOUNTED_BYTES).unwrap();
        account.charge_until_the_end(1000).unwrap();
        account.charge_until_the_end(1000).unwrap();
        account.next_request(|| false);
        assert_eq!(budget.used_bytes(), 2000);
        account.next_request(|| true);
        assert_eq!(budget.used_bytes(), 0);
    }
}
