use api::{Seat, Seats};

/// Seats that are shared by namespaces: each has its part at most, so that none takes them all.
pub(super) struct Parts(Seats<String>);

impl Parts {
    /// So many seats, of which each namespace has at most `part`.
    pub(super) fn new(seats: usize, part: usize) -> Self {
        Self(Seats::new(seats, part))
    }

    /// Waits for a seat for guests of a namespace. What is for the process itself (`None`) needs none: guests keep it from nothing.
    pub(super) async fn take(&self, guests: Option<&str>) -> Option<Seat> {
        match guests {
            Some(namespace) => Some(self.0.take(namespace.to_owned()).await),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn a_namespace_has_its_part_and_keeps_others_and_the_process_from_nothing() {
        let parts = Parts::new(5, 2);
        let _held = (parts.take(Some("shop")).await, parts.take(Some("shop")).await);
        let mut third = Box::pin(parts.take(Some("shop")));
        assert!(poll!(&mut third).is_pending());
        let of_others = (parts.take(Some("ops")).await, parts.take(Some("ops")).await, parts.take(Some("dev")).await);
        let mut beyond = Box::pin(parts.take(Some("dev")));
        assert!(poll!(&mut beyond).is_pending(), "all are taken");
        parts.take(None).await;
        drop(of_others);
        beyond.await;
        drop(_held);
        third.await;
    }

    #[tokio::test]
    async fn namespaces_are_forgotten_whose_seats_nobody_has() {
        let parts = Parts::new(5, 2);
        let _held = parts.take(Some("shop")).await;
        for number in 0..640 {
            drop(parts.take(Some(&number.to_string())).await);
        }
        assert!(parts.0.shares().known() <= 64);
        assert_eq!(parts.0.shares().of("shop".to_owned()).available_permits(), 1);
    }
}
