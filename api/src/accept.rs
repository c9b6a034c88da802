//! What a listener does that was given no connection: the same at each.

use std::{io, time::Duration};

/// Before a listener asks again that could not be given a connection: where descriptors have run out, it fails at once, and
/// goes on to fail.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a listener goes on after an error of `accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterAccept {
    /// At once: one connection failed, and is gone.
    GoOn,
    /// After [`ACCEPT_PAUSE`]: the process or the system cannot give one.
    Pause {
        /// It could do so the last time, so that this is news.
        first: bool,
    },
}

/// How accepting went.
#[derive(Debug, Default)]
pub struct Accepting {
    failing: bool,
}

impl Accepting {
    /// A connection was accepted.
    pub fn accepted(&mut self) {
        self.failing = false;
    }

    /// None was.
    pub fn failed(&mut self, error: &io::Error) -> AfterAccept {
        if is_of_connection(error) {
            return AfterAccept::GoOn;
        }
        AfterAccept::Pause { first: !std::mem::replace(&mut self.failing, true) }
    }
}

/// Linux gives errors that wait on a new connection as those of `accept` (accept(2), "Error handling"); EPERM is a firewall's.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown, NetworkUnreachable,
        PermissionDenied, TimedOut, Unsupported, WouldBlock,
    };
    /// ENONET, EPROTO, ENOPROTOOPT and EHOSTDOWN, which have no kind.
    const OF_THE_NETWORK: [i32; 4] = [64, 71, 92, 112];
    let kinds = [
        ConnectionAborted,
        ConnectionReset,
        HostUnreachable,
        Interrupted,
        NetworkDown,
        NetworkUnreachable,
        PermissionDenied,
        TimedOut,
        Unsupported,
        WouldBlock,
    ];
    kinds.contains(&error.kind()) || error.raw_os_error().is_some_and(|number| OF_THE_NETWORK.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_one_connection_keeps_no_other_waiting_and_one_of_the_system_is_told_once() {
        let mut accepting = Accepting::default();
        let mut after = |number| accepting.failed(&io::Error::from_raw_os_error(number));
        // ECONNABORTED, EPERM, EPROTO, EHOSTUNREACH, EOPNOTSUPP, EINTR
        for number in [103, 1, 71, 113, 95, 4] {
            assert_eq!(after(number), AfterAccept::GoOn, "{number}");
        }
        // EMFILE, ENFILE, ENOBUFS, ENOMEM
        assert_eq!(after(24), AfterAccept::Pause { first: true });
        for number in [24, 23, 105, 12] {
            assert_eq!(after(number), AfterAccept::Pause { first: false }, "{number}");
        }
        accepting.accepted();
        assert_eq!(accepting.failed(&io::Error::from_raw_os_error(23)), AfterAccept::Pause { first: true });
    }
}
