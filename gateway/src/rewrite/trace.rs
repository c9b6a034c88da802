use std::{cell::RefCell, io::Write};

use http::{HeaderMap, HeaderName, HeaderValue, header::Entry};
use rand::{Rng, rngs::SmallRng};

use crate::random::thread_rng;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// `00-`, 32 digits of trace, 16 of span, flags: W3C Trace Context, version 00.
const TRACEPARENT_BYTES: usize = 55;

thread_local! {
    static RNG: RefCell<SmallRng> = RefCell::new(thread_rng());
}

/// Begins a trace where the client did not, so that all that a request causes can be found by one id.
pub(crate) fn ensure_traceparent(headers: &mut HeaderMap) {
    if let Entry::Vacant(vacant) = headers.entry(TRACEPARENT) {
        // Neither id may be zero.
        let (trace, span) =
            RNG.with_borrow_mut(|rng| (rng.random_range(1..=u128::MAX), rng.random_range(1..=u64::MAX)));
        let mut text = [0; TRACEPARENT_BYTES];
        write!(&mut text[..], "00-{trace:032x}-{span:016x}-00").expect("a traceparent has 55 bytes");
        vacant.insert(HeaderValue::from_bytes(&text).expect("hexadecimal digits and dashes are a header value"));
    }
}
