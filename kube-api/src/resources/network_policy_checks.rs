//! What is wrong with a NetworkPolicy.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    column::list_at,
    field::FieldError,
    stored_checks,
    values::{self, Form::*, Forms},
};

/// What a policy may say in all: names and values of labels, and ports. All of it is looked at for each Service and each caller.
const MAX_SAID: usize = 2000;

const PROTOCOLS: &[&str] = &["TCP", "UDP", "SCTP"];
const POLICY: Forms = &[
    ("spec.policyTypes[]", OneOf(&["Ingress", "Egress"])),
    ("spec.ingress[].ports[].protocol", OneOf(PROTOCOLS)),
    ("spec.egress[].ports[].protocol", OneOf(PROTOCOLS)),
    ("spec.ingress[].ports[].port", PortName),
    ("spec.egress[].ports[].port", PortName),
];

pub(super) fn check(new: &Value, _: Option<&Value>) -> Vec<FieldError> {
    let said = said(&new["spec"]);
    if said > MAX_SAID {
        let message = format!(
            "names {said} labels, values and ports: at most {MAX_SAID} are allowed: select by fewer, or write several policies"
        );
        return vec![FieldError::invalid("spec", message)];
    }
    let mut errors = values::check(new, POLICY);
    errors.extend(stored_checks::check_selector(&new["spec"]["podSelector"], "spec.podSelector"));
    for peers in ["spec.ingress[].from[]", "spec.egress[].to[]"] {
        values::walk(new, peers, "", &mut |path, peer| errors.extend(check_peer(peer, path)));
    }
    for ports in ["spec.ingress[].ports[]", "spec.egress[].ports[]"] {
        values::walk(new, ports, "", &mut |path, one| {
            for field in ["port", "endPort"] {
                if one[field].as_i64().is_some_and(|port| !(1..=65535).contains(&port)) {
                    let message = "is no port: write a number between 1 and 65535";
                    errors.push(FieldError::invalid(format!("{path}.{field}"), message));
                }
            }
            if let Some(end) = one["endPort"].as_i64()
                && one["port"].as_i64().is_none_or(|port| end < port)
            {
                let message = "needs a `port` in numbers, and must not be below it";
                errors.push(FieldError::invalid(format!("{path}.endPort"), message));
            }
        });
    }
    errors
}

/// How many values there are, at any depth. What is empty counts as one.
fn said(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(said).sum::<usize>().max(1),
        Value::Object(fields) => fields.values().map(said).sum::<usize>().max(1),
        _ => 1,
    }
}

fn check_peer(peer: &Value, path: &str) -> Vec<FieldError> {
    let selects = ["podSelector", "namespaceSelector"].into_iter().filter(|field| !peer[*field].is_null());
    let mut errors: Vec<_> = selects
        .clone()
        .flat_map(|field| stored_checks::check_selector(&peer[field], &format!("{path}.{field}")))
        .collect();
    let (block, selects) = (&peer["ipBlock"], selects.count() > 0);
    match (block.is_null(), selects) {
        (true, false) => errors.push(FieldError::required(path, "names no peer")),
        (false, true) => {
            errors.push(FieldError::invalid(format!("{path}.ipBlock"), "stands beside a selector: keep one of them"))
        }
        (true, true) => {}
        (false, false) => errors.extend(check_block(block, &format!("{path}.ipBlock"))),
    }
    errors
}

fn check_block(block: &Value, path: &str) -> Vec<FieldError> {
    let wrong = |path: String, text: &str| {
        FieldError::invalid(path, format!("`{text}` is no range: write one as `10.0.0.0/8`"))
    };
    let text = block["cidr"].as_str().unwrap_or_default();
    let Some((network, bits)) = range(text) else { return vec![wrong(format!("{path}.cidr"), text)] };
    let check = |(index, except): (usize, &Value)| {
        let (path, text) = (format!("{path}.except[{index}]"), except.as_str().unwrap_or_default());
        let Some((inner, inner_bits)) = range(text) else { return Some(wrong(path, text)) };
        let within = inner_bits > bits && prefix(inner, bits).is_some() && prefix(inner, bits) == prefix(network, bits);
        let of_one_family = inner.is_ipv4() == network.is_ipv4();
        (!(within && of_one_family)).then(|| FieldError::invalid(path, format!("`{text}` must be a part of `cidr`")))
    };
    list_at(block, "/except").iter().enumerate().filter_map(check).collect()
}

fn range(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = text.split_once('/')?;
    let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?);
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

/// The first bits of an address.
fn prefix(address: IpAddr, bits: u32) -> Option<u128> {
    match address {
        IpAddr::V4(address) => Some(u128::from(address.to_bits()) >> 32_u32.checked_sub(bits)?),
        // All bits are shifted out of it where none is asked for.
        IpAddr::V6(address) => Some(address.to_bits().checked_shr(128_u32.checked_sub(bits)?).unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(errors: Vec<FieldError>) -> Vec<String> {
        errors.into_iter().map(|error| error.path).collect()
    }

    #[test]
    fn a_policy_that_says_more_than_can_be_looked_at_for_each_call_is_refused() {
        let ports = |count: usize| (0..count).map(|port| json!({ "port": 2 * port + 1 })).collect::<Vec<_>>();
        let policy = |count| json!({ "spec": { "podSelector": {}, "egress": [ { "ports": ports(count) } ] } });
        assert_eq!(paths(check(&policy(1000), None)), [""; 0]);
        assert_eq!(paths(check(&policy(12_000), None)), ["spec"]);
        let values: Vec<String> = (0..5000).map(|value| value.to_string()).collect();
        let peer =
            json!({ "podSelector": { "matchExpressions": [ { "key": "a", "operator": "In", "values": values } ] } });
        let policy = json!({ "spec": { "podSelector": {}, "ingress": [ { "from": [ peer ] } ] } });
        assert_eq!(paths(check(&policy, None)), ["spec"]);
        let rules = json!({ "spec": { "podSelector": {}, "ingress": vec![json!({}); 5000] } });
        assert_eq!(paths(check(&rules, None)), ["spec"]);
    }

    #[test]
    fn a_policy_names_peers_and_ranges_within_ranges() {
        let policy = |peer: Value| json!({ "spec": { "podSelector": {}, "ingress": [ { "from": [ peer ] } ] } });
        let wrong = |peer: Value| paths(check(&policy(peer), None));
        let block = |cidr: &str, except: &str| json!({ "ipBlock": { "cidr": cidr, "except": [ except ] } });
        assert_eq!(wrong(json!({})), ["spec.ingress[0].from[0]"]);
        assert_eq!(
            wrong(json!({ "podSelector": {}, "ipBlock": { "cidr": "10.0.0.0/8" } })),
            ["spec.ingress[0].from[0].ipBlock"]
        );
        assert_eq!(wrong(json!({ "ipBlock": { "cidr": "x" } })), ["spec.ingress[0].from[0].ipBlock.cidr"]);
        for (cidr, except, right) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("10.0.0.0/8", "10.0.0.0/8", false),
            ("0.0.0.0/0", "169.254.169.254/32", true),
            ("::/0", "fd00::/8", true),
            ("::/0", "10.0.0.0/8", false),
        ] {
            assert_eq!(wrong(block(cidr, except)).is_empty(), right, "{cidr} {except}");
        }
        let ports = json!({ "spec": { "podSelector": {}, "policyTypes": ["Foo"],
            "egress": [ { "ports": [ { "port": 80, "endPort": 70, "protocol": "Foo" } ] } ] } });
        assert_eq!(
            paths(check(&ports, None)),
            ["spec.policyTypes[0]", "spec.egress[0].ports[0].protocol", "spec.egress[0].ports[0].endPort"]
        );
        for (port, end, field) in [(0, 80, "port"), (65536, 70000, "port"), (80, 65536, "endPort")] {
            let ports = json!({ "spec": { "podSelector": {}, "ingress": [ { "ports": [ { "port": port, "endPort": end } ] } ] } });
            assert_eq!(paths(check(&ports, None))[0], format!("spec.ingress[0].ports[0].{field}"), "{port} {end}");
        }
    }
}
