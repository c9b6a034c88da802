use std::fs;

use gateway::Reason;

use super::{GENERATED, cell, keep, root};

/// Where each reason has its meaning, in the comment above it.
const SOURCE: &str = "gateway/src/refusal.rs";

/// What the comment above a reason says.
fn meaning(source: &str, reason: Reason) -> String {
    let declared = format!("{} =>", reason.as_str());
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.starts_with(&declared)).expect("the reason is declared there");
    let mut said: Vec<_> = lines[..at].iter().rev().map_while(|line| line.strip_prefix("/// ")).collect();
    said.reverse();
    said.join(" ")
}

fn page() -> String {
    let source = fs::read_to_string(root().join(SOURCE)).expect("the reasons");
    let mut text = format!(
        "# Errors of the gateway\n\n{GENERATED}\n\nA request that no guest answers is answered by the gateway, with one of these \
         reasons:\n`{{\"error\": {{\"status\": 404, \"reason\": \"UnknownHost\", \"message\": …}}}}`. Answers with 503 have \
         `Retry-After`. The metric\n`sampan_gateway_refusals_total` counts them by reason. A head that is malformed (400) or too large (431) is \
         answered without a body.\n\n| status | reason | meaning |\n| --- | --- | --- |\n"
    );
    for reason in Reason::ALL {
        let (status, name) = (reason.status().as_u16(), reason.as_str());
        text += &format!("| {status} | `{name}` | {} |\n", cell(&meaning(&source, *reason)));
    }
    text
}

#[test]
fn the_page_of_the_gateways_errors_is_what_the_code_says() {
    keep("gateway-errors.md", &page());
}
