use proptest::prelude::*;

use super::*;

fn rule(host: Option<&str>, path: PathMatch, target: &'static str) -> Rule<&'static str> {
    Rule { host: host.map(str::to_owned), path, target }
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

fn exact(path: &str) -> PathMatch {
    PathMatch::Exact(path.to_owned())
}

#[test]
fn the_most_specific_host_decides() {
    let table = RouteTable::new([
        rule(None, prefix("/"), "any"),
        rule(Some("*.example.com"), prefix("/"), "wildcard"),
        rule(Some("Shop.Example.com"), prefix("/"), "exact"),
    ]);
    assert_eq!(table.route("shop.example.com", "/"), Routed::To(&"exact"));
    assert_eq!(table.route("other.example.com", "/"), Routed::To(&"wildcard"));
    assert_eq!(table.route("a.b.example.com", "/"), Routed::To(&"any"), "a wildcard stands for one label");
    assert_eq!(table.route("example.com", "/"), Routed::To(&"any"));
}

#[test]
fn a_rule_without_host_does_not_catch_a_host_that_is_named() {
    let table = RouteTable::new([rule(None, prefix("/"), "any"), rule(Some("a.test"), prefix("/a"), "a")]);
    assert_eq!(table.route("a.test", "/b"), Routed::NoRuleForPath);
    assert_eq!(table.route("b.test", "/b"), Routed::To(&"any"));
}

#[test]
fn an_exact_path_comes_before_the_longest_prefix() {
    let table = RouteTable::new([
        rule(None, prefix("/"), "root"),
        rule(None, prefix("/cart/"), "cart"),
        rule(None, prefix("/cart/items"), "items"),
        rule(None, exact("/cart/items/1"), "one"),
    ]);
    for (path, target) in [
        ("/", "root"),
        ("/carts", "root"),
        ("/cart", "cart"),
        ("/cart/", "cart"),
        ("/cart/itemsize", "cart"),
        ("/cart/items/2", "items"),
        ("/cart/items/1", "one"),
        ("/cart/items/1/", "items"),
    ] {
        assert_eq!(table.route("h", path), Routed::To(&target), "{path}");
    }
}

#[test]
fn of_two_rules_for_one_path_the_first_wins() {
    let table = RouteTable::new([
        rule(None, prefix("/a"), "first"),
        rule(None, prefix("/b"), "b"),
        rule(None, prefix("/a/"), "second"),
    ]);
    assert_eq!(table.route("h", "/a"), Routed::To(&"first"));
}

/// The rules as a person would apply them: try each, keep the best.
fn by_hand(rules: &[Rule<usize>], host: &str, path: &str) -> Option<usize> {
    let elements = |path: &str| path.split('/').filter(|e| !e.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let host_rank = |rule: &Rule<usize>| match rule.host.as_deref() {
        Some(name) if name == host => Some(2),
        Some(name) => (host.split_once('.').map(|(_, rest)| rest) == name.strip_prefix("*.") && name.starts_with("*."))
            .then_some(1),
        None => Some(0),
    };
    let best_host = rules.iter().filter_map(host_rank).max()?;
    let path_rank = |rule: &Rule<usize>| match &rule.path {
        PathMatch::Exact(exact) => (exact == path).then_some(usize::MAX),
        PathMatch::Prefix(prefix) => elements(path).starts_with(&elements(prefix)).then(|| elements(prefix).len()),
    };
    let candidates = rules.iter().filter(|rule| host_rank(rule) == Some(best_host));
    let ranked = candidates.filter_map(|rule| path_rank(rule).map(|rank| (rank, rule.target)));
    ranked.max_by_key(|&(rank, target)| (rank, std::cmp::Reverse(target))).map(|(_, target)| target)
}

fn any_path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab"]), 0..4).prop_map(|e| format!("/{}", e.join("/")))
}

fn any_host() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["x.test", "y.test", "x.y.test", "test", "localhost"]).prop_map(str::to_owned)
}

fn any_rule_host() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![any_host(), any_host().prop_map(|host| format!("*.{host}"))])
}

proptest! {
    #[test]
    fn every_look_up_agrees_with_trying_each_rule(
        rules in prop::collection::vec((any_rule_host(), any_path(), any::<bool>()), 0..12),
        host in any_host(),
        path in any_path(),
    ) {
        let rules: Vec<_> = rules.into_iter().enumerate().map(|(target, (host, path, exact))| Rule {
            host,
            path: if exact { PathMatch::Exact(path) } else { PathMatch::Prefix(path) },
            target,
        }).collect();
        let table = RouteTable::new(rules.clone());
        let routed = match table.route(&host, &path) { Routed::To(target) => Some(*target), _ => None };
        prop_assert_eq!(routed, by_hand(&rules, &host, &path));
    }
}
