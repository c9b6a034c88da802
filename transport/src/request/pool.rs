//! Connections that wait for a request, apart for each thread: a request and its connection stay on one.

use std::{
    cell::RefCell,
    collections::HashMap,
    time::{Duration, Instant},
};

use api::Body;
use hyper::client::conn::http1::SendRequest;

/// A connection that can take a request.
pub(super) type Sender = SendRequest<Body>;

struct Idle {
    sender: Sender,
    since: Instant,
}

thread_local! {
    static POOL: RefCell<HashMap<u64, Vec<Idle>>> = RefCell::default();
}

/// The connection of this worker that was used last on this thread and can take a request now.
pub(super) fn take(link: u64) -> Option<Sender> {
    POOL.with_borrow_mut(|pool| {
        let idle = pool.get_mut(&link)?;
        while let Some(Idle { sender, .. }) = idle.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    })
}

/// Keeps a connection for another request. Of too many, and of those that waited for long, the oldest are closed.
pub(super) fn put(link: u64, sender: Sender, max_idle: usize, idle_for: Duration) {
    if sender.is_closed() {
        return;
    }
    let now = Instant::now();
    POOL.with_borrow_mut(|pool| {
        if !pool.contains_key(&link) {
            forget_ended(pool);
        }
        let idle = pool.entry(link).or_default();
        let stale = idle.iter().take_while(|idle| now - idle.since > idle_for).count();
        let crowded = (idle.len() + 1).saturating_sub(max_idle);
        idle.drain(..stale.max(crowded).min(idle.len()));
        idle.push(Idle { sender, since: now });
    });
}

/// Forgets links whose connections have all ended, as those of a link do that is gone.
fn forget_ended(pool: &mut HashMap<u64, Vec<Idle>>) {
    pool.retain(|_, idle| {
        idle.retain(|idle| !idle.sender.is_closed());
        !idle.is_empty()
    });
}
