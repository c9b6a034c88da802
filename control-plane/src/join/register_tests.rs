use store::MemoryStore;

use super::*;
use crate::join::tokens::NewToken;

struct World {
    store: Arc<dyn Store>,
    live: Arc<dyn Store>,
    register: Register,
}

async fn world() -> World {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(now()));
    let live: Arc<dyn Store> = Arc::new(MemoryStore::new(now()));
    let register = open(&store, &live).await;
    World { store, live, register }
}

async fn open(store: &Arc<dyn Store>, live: &Arc<dyn Store>) -> Register {
    let tokens = JoinTokens::new(store.clone(), "ca".to_owned());
    Register::open(store.clone(), live.clone(), tokens, vec![WorkerName("own".into())], Refusals::default())
        .await
        .unwrap()
}

impl World {
    async fn token(&self, uses: u32, ttl_seconds: u64, name: Option<&str>) -> (String, String) {
        let new = NewToken {
            role: Some(WORKER.to_owned()),
            name: name.map(str::to_owned),
            ttl_seconds,
            uses,
            allows: Default::default(),
        };
        let (token, text) = self.register.inner.tokens.create(&new).await.unwrap();
        (token.id, text)
    }

    async fn join(&self, text: &str, name: &str, key: &str) -> Result<IssuedCertificate, JoinRefused> {
        let admitted = self.register.admit(text, WORKER, name, key).await?;
        let given = certificate(name, key, 60);
        self.register.issue(admitted, given.clone()).await.map(|()| given)
    }

    async fn shows_ready(&self, name: &str) {
        let node = serde_json::json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
        let put = Op::Put(NODE.cluster_key(name), Bytes::from(node.to_string()));
        self.live.txn(Vec::new(), vec![put]).await.unwrap();
    }

    fn denies(&self, certificate: &IssuedCertificate) -> bool {
        self.register.denied().borrow().serials.contains(&certificate.serial)
    }
}

fn certificate(name: &str, key: &str, seconds: u64) -> IssuedCertificate {
    let mut random = [0; 16];
    getrandom::fill(&mut random).unwrap();
    IssuedCertificate {
        serial: hex::encode(random),
        role: WORKER.to_owned(),
        name: name.to_owned(),
        key: key.to_owned(),
        token: None,
        authority: None,
        issued: now(),
        expires: wall() + Duration::from_secs(seconds),
        revoked: None,
    }
}

fn worker(name: &str) -> Which {
    Which::Name { role: Some(WORKER.to_owned()), name: name.to_owned() }
}

#[tokio::test]
async fn a_token_lets_as_many_in_as_it_says() {
    let world = world().await;
    let (_, text) = world.token(2, 60, None).await;
    world.join(&text, "a", "ka").await.unwrap();
    world.join(&text, "b", "kb").await.unwrap();
    assert_eq!(world.join(&text, "c", "kc").await, Err(JoinRefused::UsedUp));
    assert_eq!(world.register.inner.tokens.list().await.unwrap()[0].used_by, ["worker/a", "worker/b"]);
}

#[tokio::test]
async fn a_token_that_is_used_up_is_kept_until_it_ends_and_says_that_it_is_used_up() {
    let world = world().await;
    let (id, text) = world.token(1, 3600, None).await;
    let (ended, _) = world.token(1, 0, None).await;
    world.join(&text, "a", "ka").await.unwrap();
    world.token(1, 60, None).await;
    let kept = world.register.inner.tokens.list().await.unwrap();
    let used = kept.iter().find(|token| token.id == id).expect("it is kept");
    assert_eq!((used.uses_left, &*used.used_by), (0, &["worker/a".to_owned()][..]));
    assert!(!kept.iter().any(|token| token.id == ended));
    assert_eq!(world.join(&text, "b", "kb").await, Err(JoinRefused::UsedUp));
    assert!(world.register.inner.tokens.revoke(&id).await.unwrap());
}

#[tokio::test]
async fn used_up_tokens_make_room_and_those_that_hold_do_not() {
    let world = world().await;
    let (first, text) = world.token(1, 3600, None).await;
    world.join(&text, "a", "ka").await.unwrap();
    for _ in 1..1000 {
        world.token(1, 3600, None).await;
    }
    let ids = async || -> Vec<String> {
        world.register.inner.tokens.list().await.unwrap().into_iter().map(|token| token.id).collect()
    };
    assert!(ids().await.contains(&first));
    world.token(1, 3600, None).await;
    assert!(!ids().await.contains(&first));
    let new = NewToken { role: None, name: None, ttl_seconds: 60, uses: 1, allows: Default::default() };
    let full = world.register.inner.tokens.create(&new).await.map(drop);
    assert_eq!(full, Err(JoinRefused::TooManyTokens));
    assert_eq!(ids().await.len(), 1000);
}

#[tokio::test]
async fn wrong_ended_and_revoked_tokens_and_those_of_another_role_or_name_let_nobody_in() {
    let world = world().await;
    let (id, text) = world.token(1, 60, None).await;
    let secret = text.split('.').nth(2).unwrap().to_owned();
    for wrong in [
        text.replace(&id, "00000000"),
        text.replace(&secret, &"0".repeat(32)),
        text.replace(&secret, ""),
        text.replace(&secret, &secret[..8]),
        "nonsense".to_owned(),
        String::new(),
    ] {
        assert_eq!(world.join(&wrong, "a", "k").await, Err(JoinRefused::Unknown), "{wrong}");
    }
    let other = world.register.admit(&text, "gateway", "a", "k").await;
    assert!(matches!(other, Err(JoinRefused::Role { .. })), "{other:?}");
    let (_, ended) = world.token(1, 0, None).await;
    assert_eq!(world.join(&ended, "a", "k").await, Err(JoinRefused::Ended));
    let (_, named) = world.token(1, 60, Some("a")).await;
    let other = world.join(&named, "b", "k").await;
    assert!(matches!(&other, Err(why @ JoinRefused::Name { .. }) if why.to_string().contains("--name a")), "{other:?}");
    world.join(&named, "a", "k").await.unwrap();
    assert!(world.register.inner.tokens.revoke(&id).await.unwrap());
    assert_eq!(world.join(&text, "c", "kc").await, Err(JoinRefused::Unknown));
    assert!(!world.register.inner.tokens.revoke(&id).await.unwrap());
}

#[tokio::test]
async fn uses_at_the_same_time_are_all_counted() {
    let world = world().await;
    let (_, text) = world.token(3, 60, None).await;
    let names: Vec<String> = (0..8).map(|n| format!("w{n}")).collect();
    let asked = names.iter().map(|name| world.join(&text, name, name));
    let let_in = futures::future::join_all(asked).await.into_iter().filter(Result::is_ok).count();
    assert_eq!((let_in, world.register.list().len()), (3, 3));
}

#[tokio::test]
async fn a_name_is_its_keys_whether_its_worker_is_alive_or_not_and_after_a_restart_of_the_control_plane() {
    let mut world = world().await;
    let (_, text) = world.token(9, 60, None).await;
    world.join(&text, "a", "ka").await.unwrap();
    world.join(&text, "a", "ka").await.expect("who was here before, with its key");
    world.register = open(&world.store, &world.live).await;
    let taken = world.join(&text, "a", "kb").await.unwrap_err();
    assert!(matches!(taken, JoinRefused::NameTaken { .. }), "{taken}");
    assert!(taken.to_string().contains("kubectl delete node a") && taken.to_string().contains("--name"), "{taken}");
    world.shows_ready("a").await;
    let alive = world.join(&text, "a", "kb").await.unwrap_err();
    assert!(matches!(alive, JoinRefused::Alive { .. }), "{alive}");
    assert!(alive.to_string().contains("kubectl delete node a"), "{alive}");
    world.join(&text, "a", "ka").await.expect("its own key");
    let left = world.register.inner.tokens.list().await.unwrap()[0].uses_left;
    assert_eq!(left, 6, "who is refused uses nothing up");
}

#[tokio::test]
async fn a_worker_that_came_without_a_certificate_has_its_name_while_it_is_alive_and_the_servers_own_always() {
    let world = world().await;
    let (_, text) = world.token(9, 60, None).await;
    assert!(matches!(world.join(&text, "own", "k").await, Err(JoinRefused::Alive { .. })));
    world.shows_ready("local").await;
    assert!(matches!(world.join(&text, "local", "k").await, Err(JoinRefused::Alive { .. })));
    assert_eq!(world.register.list(), []);
}

#[tokio::test]
async fn what_is_revoked_is_denied_with_its_key_and_the_name_is_free() {
    let mut world = world().await;
    let (id, text) = world.token(9, 60, None).await;
    let (a, b) = (world.join(&text, "a", "ka").await.unwrap(), world.join(&text, "b", "kb").await.unwrap());
    let renewed = certificate("a", "ka", 60);
    world.register.reissue(&a, renewed.clone()).await.unwrap();
    let (revoked, freed) = world.register.revoke(&Which::Serial(a.serial.clone())).await.unwrap();
    assert_eq!((revoked.len(), freed), (2, true), "what else its key was given goes too");
    assert!(world.denies(&a) && world.denies(&renewed) && !world.denies(&b));
    assert_eq!(world.register.reissue(&a, certificate("a", "ka", 60)).await, Err(JoinRefused::Revoked));
    assert_eq!(world.register.reissue(&b, certificate("b", "ka", 60)).await, Err(JoinRefused::Revoked));
    assert_eq!(world.join(&text, "a", "ka").await, Err(JoinRefused::Revoked));
    world.register = open(&world.store, &world.live).await;
    assert!(world.denies(&a) && world.denies(&renewed), "a restart forgets none of it");
    let again = world.join(&text, "a", "kc").await.unwrap();
    let (revoked, _) = world.register.revoke(&Which::Token(id)).await.unwrap();
    assert_eq!(revoked.len(), 2, "those that hold, of the token");
    assert!(world.denies(&again) && world.denies(&b));
    assert_eq!(world.register.revoke(&worker("nobody")).await.unwrap(), (Vec::new(), false));
}

#[tokio::test]
async fn what_has_ended_is_forgotten_and_a_worker_keeps_its_name() {
    let world = world().await;
    let (_, text) = world.token(9, 60, None).await;
    for (name, seconds) in [("a", 0), ("b", 60)] {
        let admitted = world.register.admit(&text, WORKER, name, name).await.unwrap();
        world.register.issue(admitted, certificate(name, name, seconds)).await.unwrap();
    }
    world.join(&text, "c", "kc").await.unwrap();
    let records = world.store.list("sampan.dev/certificates/", 100, None).await.unwrap().items;
    assert_eq!(records.len(), 2, "of a there is none any more");
    assert!(matches!(world.join(&text, "a", "other").await, Err(JoinRefused::NameTaken { .. })));
    let names: Vec<_> = world.register.list().into_iter().map(|it| (it.name, it.serial.is_empty())).collect();
    assert_eq!(names, [("a".to_owned(), true), ("b".to_owned(), false), ("c".to_owned(), false)]);
    assert_eq!(world.register.revoke(&worker("a")).await.unwrap(), (Vec::new(), true));
    world.join(&text, "a", "other").await.unwrap();
    // Where it was forgotten by a clock that was wrong, it does not hold again.
    assert!(world.register.denied().borrow().keys.contains("a"));
    let back = open(&world.store, &world.live).await;
    assert!(back.denied().borrow().keys.contains("a"), "a restart forgets none of it");
    assert!(!world.register.list().iter().any(|it| it.key == "a"), "it is no certificate");
}

/// Moves the ends of all certificates into the past, as a clock that is so far ahead does.
async fn set_clock_ahead(world: World, by: Duration) -> World {
    let records: Vec<IssuedCertificate> = read_all(&*world.store, CERTIFICATES).await.unwrap();
    for mut it in records {
        it.expires = Timestamp { micros: it.expires.micros.saturating_sub(u64::try_from(by.as_micros()).unwrap()) };
        world.store.txn(Vec::new(), vec![put(&it)]).await.unwrap();
    }
    let register = open(&world.store, &world.live).await;
    World { register, ..world }
}

#[tokio::test]
async fn a_start_under_a_clock_that_is_years_ahead_forgets_nothing_that_was_revoked() {
    let world = world().await;
    let (_, text) = world.token(9, 3600, None).await;
    let stolen = world.join(&text, "a", "ka").await.unwrap();
    world.register.revoke(&worker("a")).await.unwrap();
    let world = set_clock_ahead(world, Duration::from_secs(10 * 365 * 24 * 3600)).await;
    // Which forgets what has ended.
    world.join(&text, "b", "kb").await.unwrap();
    let back = open(&world.store, &world.live).await;
    assert!(world.denies(&stolen) && back.denied().borrow().serials.contains(&stolen.serial));
    assert_eq!(world.join(&text, "a", "ka").await, Err(JoinRefused::Revoked));
}

#[tokio::test]
async fn of_what_was_revoked_and_has_ended_so_many_are_kept_and_the_longest_past_go_first() {
    let world = world().await;
    let revoked = |n: u64| IssuedCertificate {
        expires: Timestamp::from_secs(1000 + n),
        revoked: Some(now()),
        ..certificate("a", &format!("k{n}"), 0)
    };
    let all: Vec<_> = (0..KEPT_REVOKED as u64 + 2).map(revoked).collect();
    for some in all.chunks(MAX_TXN) {
        world.store.txn(Vec::new(), some.iter().map(put).collect()).await.unwrap();
    }
    let world = World { register: open(&world.store, &world.live).await, ..world };
    let (_, text) = world.token(1, 60, None).await;
    world.join(&text, "b", "kb").await.unwrap();
    let denied = all.iter().map(|it| world.denies(it)).collect::<Vec<_>>();
    assert_eq!(denied[..2], [false, false]);
    assert!(denied[2..].iter().all(|denied| *denied));
}

#[tokio::test]
async fn who_renews_without_end_is_stopped() {
    let world = world().await;
    let (_, text) = world.token(1, 60, None).await;
    let shown = world.join(&text, "a", "ka").await.unwrap();
    for _ in 1..MAX_OF_ONE {
        world.register.reissue(&shown, certificate("a", "ka", 60)).await.unwrap();
    }
    let refused = world.register.reissue(&shown, certificate("a", "ka", 60)).await;
    assert!(matches!(refused, Err(JoinRefused::TooMany { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_certificate_of_before_is_noted_when_it_is_seen_and_can_be_revoked() {
    let world = world().await;
    let before = certificate("old", "k", 60);
    world.register.came(&before).await.unwrap();
    world.register.came(&before).await.unwrap();
    let (_, text) = world.token(1, 60, None).await;
    assert!(matches!(world.join(&text, "old", "other").await, Err(JoinRefused::NameTaken { .. })));
    assert_eq!(world.register.revoke(&worker("old")).await.unwrap().0.len(), 1);
    assert!(world.denies(&before));
    world.register.came(&before).await.unwrap();
    assert!(world.denies(&before));
}

#[tokio::test]
async fn the_control_planes_own_certificates_are_noted_few_of_them_and_can_be_revoked() {
    let world = world().await;
    for n in 0..20 {
        let own = IssuedCertificate { role: CONTROL_PLANE.to_owned(), ..certificate("main", &format!("k{n}"), 60) };
        world.register.note_own(own.clone()).await.unwrap();
        world.register.note_own(own.clone()).await.unwrap();
        assert!(world.register.has(&own.serial));
    }
    assert_eq!(world.register.list().len(), MAX_OF_ONE);
    let which = Which::Name { role: Some(CONTROL_PLANE.to_owned()), name: "main".to_owned() };
    let (revoked, freed) = world.register.revoke(&which).await.unwrap();
    assert_eq!((revoked.len(), freed), (MAX_OF_ONE, false), "it had no name that was bound");
    assert!(world.denies(&revoked[0]));
}

#[tokio::test]
async fn what_is_of_before_counts_until_it_is_used_up_or_holds_no_more() {
    let world = world().await;
    let (_, text) = world.token(1, 3600, None).await;
    let (second, minutes_ago) = (now().as_secs(), Timestamp::from_secs(now().as_secs() - 600));
    assert!(!world.register.any_of_before(minutes_ago).await.unwrap());
    assert!(world.register.any_of_before(Timestamp::from_secs(second)).await.unwrap(), "a token");
    let given = world.join(&text, "w1", "key").await.unwrap();
    assert!(world.register.any_of_before(now()).await.unwrap(), "a certificate");
    world.register.revoke(&Which::Serial(given.serial)).await.unwrap();
    assert!(!world.register.any_of_before(now()).await.unwrap());
}
