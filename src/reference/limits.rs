use std::fs;

use super::{GENERATED, keep, placeholders::fill, root};

/// The page with its values left out.
const TEMPLATE: &str = "src/reference/limits.md";

fn page() -> String {
    let template = fs::read_to_string(root().join(TEMPLATE)).expect("the page without its values");
    let page = fill(&template, &crate::cli::command()).unwrap_or_else(|why| panic!("{TEMPLATE}: {why}"));
    page.replacen("\n\n", &format!("\n\n{GENERATED}\n\n"), 1)
}

#[test]
fn the_page_of_limits_is_what_the_code_says() {
    keep("limits.md", &page());
}

/// The values of options that are amounts.
const AMOUNTS: [&str; 6] = ["N", "QUANTITY", "SPAN", "DAYS", "MB", "ACTION=PERCENT,..."];
/// Amounts that are no limits.
const NO_LIMITS: [&str; 1] = ["workers"];

#[test]
fn every_option_of_a_server_that_sets_a_limit_is_on_the_page() {
    let (commands, page) = (crate::cli::command(), page());
    for name in ["up", "server", "worker", "gateway"] {
        let command = commands.find_subcommand(name).expect("a command");
        let sets_an_amount = |arg: &&clap::Arg| {
            let values = arg.get_value_names().unwrap_or_default();
            values.iter().any(|value| AMOUNTS.contains(&value.as_str()))
        };
        for option in command.get_arguments().filter(sets_an_amount).filter_map(clap::Arg::get_long) {
            let is_there = NO_LIMITS.contains(&option) || page.contains(&format!("`--{option}`"));
            assert!(is_there, "`sampan {name} --{option}` sets a limit: add it to {TEMPLATE}");
        }
    }
}
