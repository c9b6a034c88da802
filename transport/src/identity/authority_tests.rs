use super::*;

const LIFETIME_OF_PEERS: Duration = Duration::from_secs(600);

fn peer() -> Peer {
    Peer { role: Role::Worker, name: "w1".to_owned() }
}

fn roots(authority: &Authority) -> Vec<Fingerprint> {
    authority.list().into_iter().map(|it| it.fingerprint).collect()
}

#[test]
fn an_authority_lives_for_ten_years_and_is_the_same_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = Authority::open(folder.path(), LIFETIME_OF_PEERS).unwrap();
    let years = first.list()[0].ends.duration_since(SystemTime::now()).unwrap().as_secs_f64() / (365.0 * 24.0 * 3600.0);
    assert!((9.9..10.1).contains(&years), "{years}");
    let again = Authority::open(folder.path(), LIFETIME_OF_PEERS).unwrap();
    assert_eq!(roots(&again), roots(&first));
    std::fs::write(folder.path().join(FILE), "nothing").unwrap();
    let damaged = Authority::open(folder.path(), LIFETIME_OF_PEERS).err().unwrap().to_string();
    assert!(damaged.contains("ca.pem") && damaged.contains("remove it"), "{damaged}");
}

#[test]
fn nothing_that_it_signs_outlives_it() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path(), LIFETIME * 2).unwrap();
    let (_, signed) = authority.sign(&Asked::read(Request::new().unwrap().der()).unwrap(), &peer()).unwrap();
    assert_eq!(signed.expires, authority.list()[0].ends);
}

#[test]
fn one_of_before_that_lives_for_a_hundred_years_goes_on_for_ten_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut long = params("sampan-cluster-ca");
    long.not_before = rcgen::date_time_ymd(2020, 1, 1);
    long.not_after = rcgen::date_time_ymd(2120, 1, 1);
    let pem = long.self_signed(&key).unwrap().pem();
    std::fs::write(folder.path().join("ca.key"), key.serialize_pem()).unwrap();
    std::fs::write(folder.path().join("ca.crt"), &pem).unwrap();
    let authority = Authority::open(folder.path(), LIFETIME_OF_PEERS).unwrap();
    let ends = authority.list()[0].ends;
    assert!(ends < SystemTime::now() + LIFETIME + BACKDATED);
    assert!(is_of_key(&authority.trusted()[0], &key));
    let of_before = told(&pem).unwrap().fingerprint;
    assert_eq!(roots(&authority)[1], of_before, "tokens name it");
    authority.rotate().expect("it is not in the way of another");
    assert!(!folder.path().join("ca.key").exists(), "a key that signs nothing any more is not kept");
    assert!(roots(&Authority::open(folder.path(), LIFETIME_OF_PEERS).unwrap()).contains(&of_before));
}

#[test]
fn another_takes_its_place_and_the_former_is_trusted_until_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path(), LIFETIME_OF_PEERS).unwrap();
    let first = authority.fingerprint();
    assert_eq!(authority.rotated(), None);
    let second = authority.rotate().unwrap();
    assert_ne!(first, second);
    assert!(authority.rotated().is_some());
    let again = Authority::open(folder.path(), LIFETIME_OF_PEERS).unwrap();
    assert_eq!(roots(&again), [second.clone(), first]);
    let refused = again.rotate().err().unwrap().to_string();
    assert!(refused.contains("still trusted") && refused.contains("--finish"), "{refused}");
    again.drop_former().unwrap();
    assert_eq!(roots(&Authority::open(folder.path(), LIFETIME_OF_PEERS).unwrap()), [second]);
    again.rotate().unwrap();
}
