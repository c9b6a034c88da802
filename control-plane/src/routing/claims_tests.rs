use super::*;

fn key(name: &str) -> ObjectKey {
    let (namespace, name) = name.split_once('/').unwrap();
    ObjectKey::new(namespace, name)
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

/// Made in this second, with rules for these: a host, `*` for all, and a path.
fn claim(made: u32, rules: &[(&str, &str)]) -> Option<Claim> {
    let rule = |(host, path): &(&str, &str)| IngressRule {
        host: (*host != "*").then(|| (*host).to_owned()),
        path: prefix(path),
        service: key("any/s"),
    };
    Some(Claim { made: format!("2026-01-01T00:00:{made:02}Z"), rules: rules.iter().map(rule).collect() })
}

fn hosts(claims: &Claims, name: &str) -> Vec<String> {
    let rules = claims.granted(&key(name)).rules.into_iter();
    rules.map(|rule| format!("{}{}", rule.host.unwrap_or("*".to_owned()), Asked::shown(&rule.path))).collect()
}

fn reasons(claims: &Claims, name: &str) -> Vec<&'static str> {
    claims.granted(&key(name)).refused.iter().map(Refused::reason).collect()
}

impl Asked {
    fn shown(path: &PathMatch) -> String {
        match path {
            PathMatch::Prefix(path) => path.clone(),
            other => format!("{other:?}"),
        }
    }
}

#[test]
fn the_older_ingress_of_another_namespace_keeps_its_host_and_the_younger_gets_it_when_that_is_gone() {
    let mut claims = Claims::default();
    assert_eq!(claims.set(&key("b/young"), claim(9, &[("a.test", "/"), ("own.test", "/")])), [key("b/young")]);
    assert_eq!(hosts(&claims, "b/young"), ["a.test/", "own.test/"]);
    // It was stored later and is older: names decide nothing.
    assert_eq!(claims.set(&key("c/old"), claim(3, &[("a.test", "/x")])), [key("c/old"), key("b/young")]);
    assert_eq!(hosts(&claims, "c/old"), ["a.test/x"]);
    assert_eq!(hosts(&claims, "b/young"), ["own.test/"], "not even a path that is free");
    assert_eq!(reasons(&claims, "b/young"), ["HostTaken"]);
    let said = claims.granted(&key("b/young")).refused.first().unwrap().to_string();
    assert!(said.contains("host `a.test`") && said.contains("Ingress c/old"), "{said}");
    assert_eq!(claims.set(&key("c/old"), claim(3, &[("a.test", "/x")])), [key("c/old")], "nothing changed for others");
    assert_eq!(claims.set(&key("c/old"), None), [key("b/young")]);
    assert_eq!(hosts(&claims, "b/young"), ["a.test/", "own.test/"]);
    assert_eq!(reasons(&claims, "b/young"), [""; 0]);
}

#[test]
fn of_the_same_second_the_first_by_namespace_and_name_is_the_older() {
    let mut claims = Claims::default();
    claims.set(&key("b/a"), claim(1, &[("a.test", "/")]));
    claims.set(&key("a/z"), claim(1, &[("a.test", "/")]));
    assert_eq!((hosts(&claims, "a/z").len(), hosts(&claims, "b/a").len()), (1, 0));
}

#[test]
fn who_names_a_host_more_exactly_takes_it_from_nobody() {
    let mut claims = Claims::default();
    claims.set(&key("a/all"), claim(1, &[("*", "/")]));
    claims.set(&key("b/wild"), claim(2, &[("*.test", "/")]));
    claims.set(&key("c/exact"), claim(3, &[("a.test", "/")]));
    for name in ["a/all", "b/wild", "c/exact"] {
        assert_eq!((hosts(&claims, name).len(), reasons(&claims, name).len()), (1, 0), "{name}");
    }
    claims.set(&key("d/all"), claim(4, &[("*", "/x"), ("*.test", "/x")]));
    assert_eq!(reasons(&claims, "d/all"), ["HostTaken", "HostTaken"], "every host and a wildcard are hosts too");
}

#[test]
fn ingresses_of_one_namespace_share_a_host_and_the_older_has_the_paths_that_both_name() {
    let mut claims = Claims::default();
    claims.set(&key("a/young"), claim(5, &[("a.test", "/"), ("a.test", "/young")]));
    claims.set(&key("a/old"), claim(2, &[("a.test", "/"), ("a.test", "/old/")]));
    assert_eq!(hosts(&claims, "a/old"), ["a.test/", "a.test/old/"]);
    assert_eq!(hosts(&claims, "a/young"), ["a.test/young"]);
    assert_eq!(reasons(&claims, "a/young"), ["PathTaken"]);
    claims.set(&key("a/younger"), claim(6, &[("a.test", "/old")]));
    assert_eq!(hosts(&claims, "a/younger"), [""; 0], "a slash at the end makes no other path");
    let said = claims.granted(&key("a/younger")).refused.first().unwrap().to_string();
    assert!(said.contains("`/old` of host `a.test`") && said.contains("Ingress a/old"), "{said}");
    assert_eq!(claims.set(&key("a/old"), None), [key("a/young"), key("a/younger")]);
    assert_eq!(reasons(&claims, "a/young").len() + reasons(&claims, "a/younger").len(), 0);
}

#[test]
fn a_reserved_host_is_nobodys_and_keeps_nobody_from_it() {
    let mut claims = Claims::default();
    claims.set(&key("evil/first"), claim(1, &[("cart.shop.localhost", "/")]));
    claims.set(&key("shop/own"), claim(2, &[("cart.shop.localhost", "/")]));
    assert_eq!((reasons(&claims, "evil/first"), hosts(&claims, "evil/first").len()), (vec!["HostReserved"], 0));
    assert_eq!(hosts(&claims, "shop/own"), ["cart.shop.localhost/"]);
}

#[test]
fn an_ingress_that_no_longer_asks_for_a_host_leaves_it_to_others() {
    let mut claims = Claims::default();
    claims.set(&key("a/one"), claim(1, &[("a.test", "/"), ("b.test", "/")]));
    claims.set(&key("b/two"), claim(2, &[("a.test", "/"), ("b.test", "/")]));
    assert_eq!(claims.set(&key("a/one"), claim(1, &[("b.test", "/")])), [key("a/one"), key("b/two")]);
    assert_eq!(hosts(&claims, "b/two"), ["a.test/"]);
}
