use super::{GENERATED, keep, placeholders::fill};

/// The page with its values left out.
const TEMPLATE: &str = include_str!("limits.md");

fn page() -> String {
    let page = fill(TEMPLATE, &crate::cli::command());
    let page = page.unwrap_or_else(|why| panic!("src/reference/limits.md: {why}"));
    page.replacen("\n\n", &format!("\n\n{GENERATED}\n\n"), 1)
}

#[test]
fn the_page_of_limits_is_what_the_code_says() {
    keep("limits.md", &page());
}
