use crate::metrics::FAMILIES;

use super::{GENERATED, cell, keep};

fn page() -> String {
    let mut text = format!(
        "# Metrics\n\n{GENERATED}\n\nWhat `--metrics IP:PORT` offers at `/metrics`, in the text format of Prometheus. A process \
         offers those of its\nroles: a gateway the ones about requests, a control plane the ones about autoscalers, \
         stores, repositories,\ntokens and workers.\n\n| name | type | labels | meaning |\n| --- | --- | --- | --- |\n"
    );
    for family in FAMILIES {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        text += &format!("| `{}` | {} | {} | {} |\n", family.name, family.kind, labels.join(", "), cell(family.help));
    }
    text
}

#[test]
fn the_page_of_metrics_is_what_the_code_says() {
    keep("metrics.md", &page());
}
