use std::time::Duration;

use control_plane::{
    PolicyKind,
    replay::{Outcome, Replayed},
};
use serde_json::{Value, json};

use super::figures::{si, span};

/// What each policy came to, beside Knative's where that was replayed too.
pub(crate) struct Report<'a> {
    pub(crate) replayed: &'a [Replayed],
    /// How long a replica takes to start: waits that differ by no more are set apart.
    pub(crate) start: Duration,
}

const HEADER: [&str; 14] = [
    "POLICY",
    "FUNCTIONS",
    "REQUESTS",
    "INSTANCE-S",
    "OF-KPA",
    "SHORT-S",
    "OF-KPA",
    "STARTS",
    "COLD",
    "P50",
    "P99",
    "MAX",
    "REFUSED",
    "P99-WORSE",
];

impl Report<'_> {
    /// A table, its header first.
    pub(crate) fn table(&self) -> Vec<String> {
        let rows: Vec<Vec<String>> = self.replayed.iter().map(|one| self.row(one)).collect();
        let header: Vec<String> = HEADER.map(str::to_owned).to_vec();
        let rows: Vec<&Vec<String>> = std::iter::once(&header).chain(&rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
        let line = |row: &&Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cell = |(column, (cell, width)): (usize, (&String, &usize))| match column {
                0 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            };
            cells.map(cell).collect::<Vec<_>>().join("  ")
        };
        rows.iter().map(line).collect()
    }

    /// The same for programs: seconds, and counts.
    pub(crate) fn json(&self) -> Value {
        let policy = |one: &Replayed| {
            let worse = |margin| self.kpa().map(|kpa| one.worse_than(kpa, margin));
            json!({
                "policy": one.policy.name(),
                "functions": one.p99s.len(),
                "shortFunctions": one.short_functions,
                "all": figures(&one.all),
                "short": figures(&one.short),
                "instanceSecondsOfKpa": self.kpa().map(|kpa| ratio(&one.all, &kpa.all)),
                "shortInstanceSecondsOfKpa": self.kpa().map(|kpa| ratio(&one.short, &kpa.short)),
                "functionsWithP99WorseThanKpa": worse(Duration::ZERO),
                "functionsWithP99WorseThanKpaByMoreThanAStart": worse(self.start),
            })
        };
        self.replayed.iter().map(policy).collect()
    }

    fn kpa(&self) -> Option<&Replayed> {
        self.replayed.iter().find(|one| one.policy == PolicyKind::Kpa)
    }

    fn row(&self, one: &Replayed) -> Vec<String> {
        let Replayed { policy, p99s, all, short, .. } = one;
        let of_kpa = |of: fn(&Replayed) -> &Outcome| match self.kpa().map(|kpa| ratio(of(one), of(kpa))) {
            Some(Some(ratio)) => format!("{ratio:.3}"),
            _ => "-".to_owned(),
        };
        let worse = self.kpa().map(|kpa| (one.worse_than(kpa, Duration::ZERO), one.worse_than(kpa, self.start)));
        vec![
            policy.name().to_owned(),
            p99s.len().to_string(),
            all.requests.to_string(),
            si(all.instance_seconds),
            of_kpa(|one| &one.all),
            si(short.instance_seconds),
            of_kpa(|one| &one.short),
            all.starts.to_string(),
            all.cold.to_string(),
            span(all.waits.quantile(0.5)),
            span(all.waits.quantile(0.99)),
            span(all.waits.longest()),
            all.refused.to_string(),
            worse.map_or("-".to_owned(), |(all, by_a_start)| format!("{all} ({by_a_start})")),
        ]
    }
}

fn figures(outcome: &Outcome) -> Value {
    let Outcome { requests, refused, cold, starts, instance_seconds, waits, .. } = outcome;
    json!({
        "requests": requests,
        "refused": refused,
        "cold": cold,
        "starts": starts,
        "instanceSeconds": instance_seconds,
        "waitP50": waits.quantile(0.5).as_secs_f64(),
        "waitP99": waits.quantile(0.99).as_secs_f64(),
        "waitMax": waits.longest().as_secs_f64(),
    })
}

/// `None`: the other had none.
fn ratio(one: &Outcome, other: &Outcome) -> Option<f64> {
    (other.instance_seconds > 0.0).then(|| one.instance_seconds / other.instance_seconds)
}
