use std::{cell::RefCell, io::Write};

use api::{RequestId, TRACEPARENT, TRACEPARENT_BYTES};
use http::{HeaderMap, HeaderValue, header::Entry};
use rand::{Rng, rngs::SmallRng};

use crate::random::thread_rng;

thread_local! {
    static RNG: RefCell<SmallRng> = RefCell::new(thread_rng());
}

/// Begins a trace where the client did not, or said none that can be gone on with, so that all that a request causes can be found
/// by one id. Answers that id.
pub(crate) fn ensure_traceparent(headers: &mut HeaderMap) -> RequestId {
    let entry = headers.entry(TRACEPARENT);
    if let Entry::Occupied(occupied) = &entry
        && let Some(known) = RequestId::of_traceparent(occupied.get())
    {
        return known;
    }
    // Neither id may be zero.
    let (trace, span) = RNG.with_borrow_mut(|rng| (rng.random_range(1..=u128::MAX), rng.random_range(1..=u64::MAX)));
    let mut text = [0; TRACEPARENT_BYTES];
    write!(&mut text[..], "00-{trace:032x}-{span:016x}-00").expect("a traceparent has 55 bytes");
    let value = HeaderValue::from_bytes(&text).expect("hexadecimal digits and dashes are a header value");
    let id = RequestId::of_traceparent(&value).expect("it was made as one");
    match entry {
        Entry::Vacant(vacant) => {
            vacant.insert(value);
        }
        Entry::Occupied(mut occupied) => {
            occupied.insert(value);
        }
    }
    id
}
