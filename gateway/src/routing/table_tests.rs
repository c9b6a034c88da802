use proptest::prelude::*;

use super::*;

#[derive(Clone)]
struct Rule<T> {
    host: Option<String>,
    path: PathMatch,
    target: T,
}

fn table<T: Clone>(rules: impl IntoIterator<Item = Rule<T>>) -> RouteTable<T> {
    let (rules, mut table) = (rules.into_iter().collect::<Vec<_>>(), RouteTable::default());
    for host in rules.iter().map(|rule| &rule.host) {
        let of_it = rules.iter().filter(|rule| rule.host == *host);
        table.set(host.as_deref(), of_it.map(|rule| (rule.path.clone(), rule.target.clone())));
    }
    table
}

fn route<'a, T>(table: &'a RouteTable<T>, host: &str, path: &str) -> Routed<'a, T> {
    match table.by_name(host, path) {
        Some(Routed::To(target)) => Routed::To(target),
        _ => table.by_wildcard(host, path),
    }
}

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
    let table = table([
        rule(None, prefix("/"), "any"),
        rule(Some("*.example.com"), prefix("/"), "wildcard"),
        rule(Some("shop.example.com"), prefix("/"), "exact"),
    ]);
    assert_eq!(route(&table, "shop.example.com", "/"), Routed::To(&"exact"));
    assert_eq!(route(&table, "other.example.com", "/"), Routed::To(&"wildcard"));
    assert_eq!(route(&table, "a.b.example.com", "/"), Routed::To(&"any"), "a wildcard stands for one label");
    assert_eq!(route(&table, "example.com", "/"), Routed::To(&"any"));
}

#[test]
fn a_path_that_the_rules_of_its_host_do_not_have_falls_back_to_wildcards_and_then_to_rules_without_a_host() {
    let table = table([
        rule(None, prefix("/"), "any"),
        rule(Some("a.test"), prefix("/a"), "a"),
        rule(Some("*.test"), prefix("/w"), "wildcard"),
    ]);
    assert_eq!(route(&table, "a.test", "/a/b"), Routed::To(&"a"));
    assert_eq!(route(&table, "a.test", "/w"), Routed::To(&"wildcard"));
    assert_eq!(route(&table, "a.test", "/b"), Routed::To(&"any"));
    assert_eq!(route(&table, "b.test", "/b"), Routed::To(&"any"));
}

#[test]
fn a_default_backend_has_what_is_left_and_that_of_the_nearest_host_comes_first() {
    let table = table([
        rule(None, PathMatch::Otherwise, "default"),
        rule(None, prefix("/"), "any"),
        rule(Some("a.test"), PathMatch::Otherwise, "default of a"),
        rule(Some("a.test"), prefix("/a"), "a"),
    ]);
    assert_eq!(route(&table, "a.test", "/b"), Routed::To(&"any"), "a rule comes before what is left");
    let table = self::table([
        rule(None, PathMatch::Otherwise, "default"),
        rule(Some("a.test"), PathMatch::Otherwise, "default of a"),
        rule(Some("a.test"), prefix("/a"), "a"),
        rule(Some("b.test"), prefix("/b"), "b"),
        rule(Some("*.c.test"), prefix("/c"), "c"),
    ]);
    assert_eq!(route(&table, "a.test", "/a"), Routed::To(&"a"));
    assert_eq!(route(&table, "a.test", "/b"), Routed::To(&"default of a"));
    assert_eq!(route(&table, "b.test", "/a"), Routed::To(&"default"));
    assert_eq!(route(&table, "x.c.test", "/a"), Routed::To(&"default"));
    assert_eq!(route(&table, "nobody.test", "/a"), Routed::To(&"default"));
}

#[test]
fn a_known_host_without_a_rule_for_the_path_is_told_from_an_unknown_one() {
    let table = table([rule(Some("a.test"), prefix("/a"), "a")]);
    assert_eq!(route(&table, "a.test", "/b"), Routed::NoRuleForPath);
    assert_eq!(route(&table, "b.test", "/b"), Routed::UnknownHost);
}

#[test]
fn an_exact_path_comes_before_the_longest_prefix() {
    let table = table([
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
        assert_eq!(route(&table, "h", path), Routed::To(&target), "{path}");
    }
}

#[test]
fn of_two_rules_for_one_path_the_first_wins() {
    let table =
        table([rule(None, prefix("/a"), "first"), rule(None, prefix("/b"), "b"), rule(None, prefix("/a/"), "second")]);
    assert_eq!(route(&table, "h", "/a"), Routed::To(&"first"));
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
    let path_rank = |rule: &Rule<usize>| match &rule.path {
        PathMatch::Exact(exact) => (exact == path).then_some(usize::MAX),
        PathMatch::Prefix(prefix) => elements(path).starts_with(&elements(prefix)).then(|| elements(prefix).len()),
        PathMatch::Otherwise => Some(0),
    };
    let is_rule = |rule: &Rule<usize>| rule.path != PathMatch::Otherwise;
    let rank = |rule: &Rule<usize>| Some((is_rule(rule), host_rank(rule)?, path_rank(rule)?));
    let ranked = rules.iter().filter_map(|rule| rank(rule).map(|rank| (rank, rule.target)));
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
        rules in prop::collection::vec((any_rule_host(), any_path(), 0..5), 0..12),
        host in any_host(),
        path in any_path(),
    ) {
        let rules: Vec<_> = rules.into_iter().enumerate().map(|(target, (host, path, kind))| Rule {
            host,
            path: match kind {
                0 => PathMatch::Otherwise,
                1..3 => PathMatch::Exact(path),
                _ => PathMatch::Prefix(path),
            },
            target,
        }).collect();
        let table = table(rules.clone());
        let routed = match route(&table, &host, &path) { Routed::To(target) => Some(*target), _ => None };
        prop_assert_eq!(routed, by_hand(&rules, &host, &path));
    }
}

#[test]
fn a_host_whose_rules_are_taken_away_is_not_known_any_more() {
    let mut table = table([rule(Some("a.test"), prefix("/"), "a"), rule(Some("*.b.test"), prefix("/"), "b")]);
    let before = table.clone();
    table.set(Some("a.test"), []);
    table.set(Some("*.b.test"), []);
    assert_eq!(route(&table, "a.test", "/"), Routed::UnknownHost);
    assert_eq!(route(&table, "x.b.test", "/"), Routed::UnknownHost);
    assert_eq!(route(&before, "a.test", "/"), Routed::To(&"a"), "a copy stays as it was");
}
