use proptest::prelude::*;

use super::*;

/// A worker's memory with one replica for each entry: its namespace, what its pod asks for, its limit.
fn worker(total: u64, replicas: &[(usize, u64, u64)]) -> MemoryShares {
    let mut shares = MemoryShares::new(total);
    for (id, (namespace, reserved, limit)) in replicas.iter().enumerate() {
        shares.join(&format!("n{namespace}"), id as u64, *reserved, *limit);
    }
    shares
}

fn part(shares: &MemoryShares, namespace: usize, id: usize) -> &Part {
    &shares.namespaces[&format!("n{namespace}")].replicas[&(id as u64)]
}

/// Draws one by one until no more is given. Answers how many.
fn all(shares: &mut MemoryShares, namespace: usize, id: usize) -> u64 {
    (0..).take_while(|_| shares.draw(&format!("n{namespace}"), id as u64, 1)).count() as u64
}

#[test]
fn one_alone_has_all_but_what_is_beyond_its_guarantee_is_kept_for_nobody() {
    let mut shares = worker(100, &[(0, 0, 1000)]);
    assert_eq!(all(&mut shares, 0, 0), 100);
}

#[test]
fn what_pods_ask_for_is_theirs_at_once_and_the_rest_is_lent() {
    let mut shares = worker(100, &[(0, 0, 1000), (1, 30, 1000), (1, 10, 1000)]);
    // Of the 60 that nobody asks for a quarter is guaranteed: 7 to each namespace; those of the second one have more than that.
    assert_eq!(all(&mut shares, 0, 0), 60);
    assert_eq!(all(&mut shares, 1, 1), 30);
    assert_eq!(all(&mut shares, 1, 2), 10);
}

#[test]
fn a_namespace_that_asks_for_nothing_has_its_part_of_a_quarter() {
    let mut shares = worker(80, &[(0, 0, 1000), (1, 0, 1000), (1, 0, 1000)]);
    assert_eq!(all(&mut shares, 0, 0), 70);
    assert_eq!((all(&mut shares, 1, 1), all(&mut shares, 1, 2)), (5, 5));
}

#[test]
fn nothing_is_kept_for_a_replica_beyond_its_own_limit() {
    let mut shares = worker(80, &[(0, 0, 1000), (1, 50, 2)]);
    assert_eq!(all(&mut shares, 0, 0), 78);
}

#[test]
fn who_has_more_than_its_share_gives_way_to_who_waits_below_it() {
    let mut shares = worker(80, &[(0, 0, 1000), (1, 0, 1000)]);
    assert_eq!(all(&mut shares, 0, 0), 70);
    assert_eq!(all(&mut shares, 1, 1), 10);
    shares.waits("n1", true);
    shares.give_back("n0", 0, 5);
    assert!(!shares.draw("n0", 0, 1), "what it gave back is another's");
    assert_eq!(all(&mut shares, 1, 1), 5);
    shares.waits("n1", false);
    shares.give_back("n0", 0, 1);
    assert!(shares.draw("n0", 0, 1), "nobody waits");
}

#[derive(Debug, Clone)]
enum Step {
    Draw(usize, u64),
    GiveBack(usize, u64),
    Wait(usize),
    Leave(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (any::<usize>(), 1_u64..40).prop_map(|(of, bytes)| Step::Draw(of, bytes)),
        4 => (any::<usize>(), 1_u64..40).prop_map(|(of, bytes)| Step::GiveBack(of, bytes)),
        2 => any::<usize>().prop_map(Step::Wait),
        1 => any::<usize>().prop_map(Step::Leave),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #[test]
    fn what_is_guaranteed_is_always_there_and_what_nobody_is_owed_or_waits_for_is_lent(
        total in 1_u64..400,
        replicas in prop::collection::vec((0_usize..4, 0_u64..30, 1_u64..200), 1..10),
        steps in steps(),
    ) {
        // The scheduler places no more than there is.
        let asked: u64 = replicas.iter().map(|(_, reserved, limit)| reserved.min(limit)).sum();
        let total = total.max(asked);
        let mut shares = worker(total, &replicas);
        let mut there = vec![true; replicas.len()];
        // Guarantees grow where others leave: what was lent meanwhile is given back, not taken away.
        let mut left = false;
        for step in steps {
            match step {
                Step::Draw(of, bytes) if there[of % replicas.len()] => {
                    let id = of % replicas.len();
                    let (namespace, _, limit) = replicas[id];
                    let (drawn, guaranteed, owed) = {
                        let part = part(&shares, namespace, id);
                        (part.drawn, part.guaranteed, part.owed())
                    };
                    if drawn + bytes > limit {
                        continue;
                    }
                    let (free, others) = (total - shares.drawn, shares.owed - owed);
                    let nobody_waits = shares.namespaces.values().all(|other| other.waiting == 0);
                    let given = shares.draw(&format!("n{namespace}"), id as u64, bytes);
                    if !left && drawn + bytes <= guaranteed {
                        prop_assert!(given, "it is guaranteed");
                    }
                    if nobody_waits && free >= bytes + others {
                        prop_assert!(given, "nobody is owed it");
                    }
                    if !given && bytes <= free && drawn + bytes > guaranteed {
                        prop_assert!(free < bytes + others || !nobody_waits);
                    }
                }
                Step::GiveBack(of, bytes) if there[of % replicas.len()] => {
                    let id = of % replicas.len();
                    let namespace = replicas[id].0;
                    let bytes = bytes.min(part(&shares, namespace, id).drawn);
                    shares.give_back(&format!("n{namespace}"), id as u64, bytes);
                }
                Step::Wait(of) => {
                    let namespace = format!("n{}", replicas[of % replicas.len()].0);
                    let waits = shares.namespaces.get(&namespace).is_some_and(|namespace| namespace.waiting > 0);
                    shares.waits(&namespace, !waits);
                }
                Step::Leave(of) if there[of % replicas.len()] => {
                    let id = of % replicas.len();
                    shares.leave(&format!("n{}", replicas[id].0), id as u64);
                    there[id] = false;
                    left = true;
                }
                Step::Draw(..) | Step::GiveBack(..) | Step::Leave(_) => {}
            }
            let parts = || shares.namespaces.values().flat_map(|namespace| namespace.replicas.values());
            prop_assert_eq!(parts().map(|part| part.drawn).sum::<u64>(), shares.drawn);
            prop_assert_eq!(parts().map(Part::owed).sum::<u64>(), shares.owed);
            prop_assert!(shares.drawn <= total, "no more is given than there is");
            prop_assert!(left || shares.owed <= total - shares.drawn, "what is owed is there");
        }
    }
}
