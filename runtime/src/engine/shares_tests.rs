use std::{cell::Cell, collections::VecDeque, rc::Rc};

use proptest::prelude::*;

use super::*;

type Counter = Rc<Cell<u32>>;

impl Count for Counter {
    fn get(&self) -> u32 {
        Cell::get(self)
    }
}

/// A pool with its replicas, and what they do, step by step.
struct World {
    shares: Shares<Counter>,
    total: u32,
    replicas: Vec<Replica>,
    /// Replicas by their instances, the oldest first.
    running: VecDeque<usize>,
    waiting: Vec<(Ticket, usize)>,
}

struct Replica {
    namespace: String,
    used: Counter,
    of_namespace: Counter,
}

impl World {
    /// A namespace for each number, of so many replicas.
    fn new(total: u32, namespaces: &[usize]) -> Self {
        let (mut shares, mut replicas) = (Shares::new(total), Vec::new());
        for (number, count) in namespaces.iter().enumerate() {
            for _ in 0..*count {
                let (namespace, used) = (format!("n{number}"), Counter::default());
                let of_namespace = shares.join(&namespace, replicas.len() as u64, used.clone(), Counter::default);
                replicas.push(Replica { namespace, used, of_namespace });
            }
        }
        Self { shares, total, replicas, running: VecDeque::new(), waiting: Vec::new() }
    }

    fn free(&self) -> u32 {
        self.total - u32::try_from(self.running.len()).unwrap()
    }

    fn ask(&mut self, replica: usize) -> Decision {
        let decision = self.shares.ask(&self.replicas[replica].namespace, replica as u64, self.free());
        match decision {
            Decision::Grant => self.run(replica),
            Decision::Queue(ticket) => self.waiting.push((ticket, replica)),
            Decision::Refuse => {}
        }
        decision
    }

    fn run(&mut self, replica: usize) {
        let Replica { used, of_namespace, .. } = &self.replicas[replica];
        used.set(used.get() + 1);
        of_namespace.set(of_namespace.get() + 1);
        self.running.push_back(replica);
        assert!(self.running.len() <= self.total as usize, "no more slots are given than there are");
    }

    /// An instance ends; answers who gets slots by that.
    fn end(&mut self, index: usize) -> Vec<Ticket> {
        let Some(replica) = self.running.remove(index) else { return Vec::new() };
        let Replica { used, of_namespace, .. } = &self.replicas[replica];
        used.set(used.get() - 1);
        of_namespace.set(of_namespace.get() - 1);
        self.give()
    }

    fn give(&mut self) -> Vec<Ticket> {
        let mut given = Vec::new();
        while let Some(ticket) = self.shares.next(self.free()) {
            let at = self.waiting.iter().position(|(waiting, _)| *waiting == ticket).expect("who waits is given");
            let (_, replica) = self.waiting.remove(at);
            let earlier = self.waiting.iter().any(|(other, of)| *of == replica && *other < ticket);
            assert!(!earlier, "those of a replica are given slots in the order in which they came");
            self.run(replica);
            given.push(ticket);
        }
        given
    }

    fn give_up(&mut self, index: usize) {
        if index < self.waiting.len() {
            let (ticket, replica) = self.waiting.remove(index);
            self.shares.forget(&self.replicas[replica].namespace, replica as u64, ticket);
            self.give();
        }
    }

    fn used(&self, replica: usize) -> u32 {
        self.replicas[replica].used.get()
    }

    fn used_by(&self, namespace: &str) -> u32 {
        self.replicas.iter().filter(|replica| replica.namespace == namespace).map(|replica| replica.used.get()).sum()
    }

    /// What is kept for others, at most.
    fn kept(&self) -> u32 {
        self.total / GUARANTEED_PART
    }

    fn check(&self) {
        for (_, replica) in &self.waiting {
            let of_it = self.waiting.iter().filter(|(_, other)| other == replica).count();
            assert!(of_it <= MAX_WAITING, "queues are bounded");
        }
        if !self.waiting.is_empty() {
            assert!(self.free() <= self.kept(), "nobody waits while there is more than what is kept for others");
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Ask(usize),
    End(usize),
    GiveUp(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => any::<usize>().prop_map(Step::Ask),
        3 => any::<usize>().prop_map(Step::End),
        1 => any::<usize>().prop_map(Step::GiveUp),
    ];
    prop::collection::vec(step, 1..400)
}

fn namespaces() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..5, 1..12)
}

proptest! {
    #[test]
    fn whatever_is_asked_what_is_guaranteed_is_given_at_once_and_nothing_waits_beside_what_nobody_is_owed(
        total in 1_u32..80, namespaces in namespaces(), steps in steps(), greedy in any::<bool>(),
    ) {
        let mut world = World::new(total, &namespaces);
        let few = namespaces.len() as u32 <= world.kept();
        for step in steps {
            match step {
                Step::Ask(any) => {
                    // Half of the worlds have one that wants far more than all others.
                    let replica = if greedy && any % 2 == 0 { 0 } else { any % world.replicas.len() };
                    let namespace = world.replicas[replica].namespace.clone();
                    let before = (world.used_by(&namespace), world.used(replica), world.free());
                    let replicas = world.replicas.iter().filter(|other| other.namespace == namespace).count() as u32;
                    let decision = world.ask(replica);
                    let of_each = world.kept() / namespaces.len() as u32;
                    if few && before.1 < of_each / replicas {
                        prop_assert_eq!(decision, Decision::Grant, "it is guaranteed");
                    }
                    if few && replicas == 1 && before.0 < of_each {
                        prop_assert_eq!(decision, Decision::Grant, "it is guaranteed");
                    }
                    if decision != Decision::Grant {
                        prop_assert!(before.2 <= world.kept(), "{} were free", before.2);
                    }
                    if decision == Decision::Refuse {
                        let waiting = world.waiting.iter().filter(|(_, of)| *of == replica).count();
                        prop_assert!(before.1 > 0 || waiting >= MAX_WAITING, "who has nothing may wait");
                    }
                }
                Step::End(any) if !world.running.is_empty() => drop(world.end(any % world.running.len())),
                Step::GiveUp(any) if !world.waiting.is_empty() => world.give_up(any % world.waiting.len()),
                Step::End(_) | Step::GiveUp(_) => {}
            }
            world.check();
        }
        // Once all has ended, nobody waits: nothing that was given was lost.
        while !world.running.is_empty() {
            world.end(0);
        }
        prop_assert!(world.waiting.is_empty());
        prop_assert!(world.replicas.iter().all(|replica| replica.used.get() == 0));
    }

    #[test]
    fn one_alone_has_all_of_the_pool(total in 1_u32..200) {
        let mut world = World::new(total, &[1]);
        for _ in 0..total {
            prop_assert_eq!(world.ask(0), Decision::Grant);
        }
        prop_assert_eq!(world.ask(0), Decision::Refuse);
    }

    #[test]
    fn what_was_borrowed_is_given_back_as_instances_end(total in 8_u32..80, namespaces in 2_usize..5) {
        let mut world = World::new(total, &vec![1; namespaces]);
        while world.ask(0) == Decision::Grant {}
        prop_assert!(world.free() <= world.kept());
        // All want all, and what ends is what began first.
        for _ in 0..2 * total {
            for replica in 0..namespaces {
                while matches!(world.ask(replica), Decision::Grant) {}
            }
            world.end(0);
        }
        let share = total / namespaces as u32;
        for replica in 0..namespaces {
            prop_assert!(world.used(replica) + 1 >= share, "{} of {share}", world.used(replica));
        }
    }

    #[test]
    fn who_waits_has_its_turn_before_all_that_runs_has_ended_twice(
        total in 4_u32..60, namespaces in namespaces(), order in any::<u64>(),
    ) {
        let mut world = World::new(total, &namespaces);
        let count = world.replicas.len();
        let patient = (order % count as u64) as usize;
        for round in 0..total as usize * 3 {
            if round % count != patient {
                world.ask(round % count);
            }
        }
        let first_denied = (0..=total).map(|_| world.ask(patient)).find(|decision| *decision != Decision::Grant);
        // It may have all of its share.
        let Some(Decision::Queue(ticket)) = first_denied else { return Ok(()) };
        // Everybody else asks for all that they can get, all the time.
        for _ in 0..2 * total + u32::try_from(MAX_WAITING).unwrap() {
            if !world.waiting.iter().any(|(waiting, _)| *waiting == ticket) {
                return Ok(());
            }
            for replica in (0..count).filter(|replica| *replica != patient) {
                world.ask(replica);
            }
            world.end(0);
        }
        prop_assert!(false, "it still waits");
    }
}

#[test]
fn where_there_are_more_namespaces_than_slots_those_who_come_find_some_kept() {
    let mut world = World::new(40, &[1; 200]);
    for _ in 0..100 {
        world.ask(0);
    }
    assert_eq!(world.free(), world.kept(), "no borrower takes the last ones");
    for replica in 1..=10 {
        assert_eq!(world.ask(replica), Decision::Grant);
    }
    assert!(matches!(world.ask(11), Decision::Queue(_)));
    assert_eq!(world.end(0).len(), 1);
}

#[test]
fn no_more_wait_for_a_replica_than_its_line_is_long() {
    let mut world = World::new(4, &[1, 1]);
    while world.ask(0) == Decision::Grant {}
    assert_eq!(world.ask(1), Decision::Grant);
    for _ in 0..MAX_WAITING {
        assert!(matches!(world.ask(1), Decision::Queue(_)));
    }
    assert_eq!(world.ask(1), Decision::Refuse);
    world.give_up(0);
    assert!(matches!(world.ask(1), Decision::Queue(_)));
}
