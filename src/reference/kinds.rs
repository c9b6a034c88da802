use kube_api::{
    fields::honoured::{Rule, Rules},
    resources::{ALL, Durability, Resource, instead},
};

use super::{GENERATED, cell, keep};

/// Where a workload has its pod template, which is shown once.
const TEMPLATE: &str = "spec.template";

/// Rows of a table: a field's path, what is done with it, and why.
#[derive(Default)]
struct Table {
    rows: Vec<(String, &'static str, String)>,
    /// The rules of the pod template, where one was met.
    template: Option<Rules>,
}

/// Adds the rows of some rules, those that one leads to included, each path beginning with this one.
fn add(table: &mut Table, rules: Rules, start: &str) {
    for (name, rule) in rules.iter().filter(|(name, _)| !name.is_empty()) {
        let path = if start.is_empty() || name.starts_with('[') {
            format!("{start}{name}")
        } else {
            format!("{start}.{name}")
        };
        let quoted = |values: &[&str]| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
        let unless = |values: &[&str], why: &str| match values {
            [] => why.to_owned(),
            values => format!("{why} (no warning for {})", quoted(values)),
        };
        let (done, why) = match *rule {
            Rule::Honoured => ("honoured", String::new()),
            Rule::Only(values, why) => ("some values", format!("only {}: {why}", quoted(values))),
            Rule::Warned(values, why) => ("no effect", unless(values, why)),
            Rule::OnlyWarned(values, why) => ("no effect", format!("only {}: {why}", quoted(values))),
            Rule::Refused(why) => ("refused", why.to_owned()),
            Rule::By(rules) if path == TEMPLATE => {
                table.template = Some(rules);
                ("honoured", "see [Pod template](#pod-template)".to_owned())
            }
            Rule::By(rules) => {
                add(table, rules, &path);
                continue;
            }
        };
        table.rows.push((path, done, why));
    }
}

fn is_absent(resource: &Resource) -> bool {
    instead(resource).is_some()
}

/// Adds the table of some rules to a page. Gives those of the pod template, if they lead to one.
fn show(text: &mut String, rules: Rules) -> Option<Rules> {
    let mut table = Table::default();
    add(&mut table, rules, "");
    if !table.rows.is_empty() {
        *text += "\n| field | | |\n| --- | --- | --- |\n";
        for (path, done, why) in table.rows {
            *text += &format!("| `{path}` | {done} | {} |\n", cell(&why));
        }
    }
    table.template
}

/// Adds the section of a kind. Gives the rules of the pod template, if it has one.
fn section(text: &mut String, resource: &Resource) -> Option<Rules> {
    *text += &format!("\n## {}\n\n`apiVersion: {}`", resource.kind, resource.api_version());
    if let Some(view) = &resource.view {
        *text += &format!(". A view of `{}`, where its fields are listed.\n", view.stored.api_version());
        return None;
    }
    *text += "\n";
    if let Some((_, Rule::Warned(_, why))) = resource.honoured.iter().find(|(name, _)| name.is_empty()) {
        *text += &format!("\nAccepted with a warning: {}.\n", cell(why));
    }
    show(text, resource.honoured)
}

fn page() -> String {
    let all = ALL.iter().map(|resource| resource.verbs()).max_by_key(|verbs| verbs.len()).unwrap_or_default();
    let mut text = format!(
        "# Kinds and fields\n\n{GENERATED}\n\nThe kinds of the Kubernetes API that Sampan serves, and what it does with each \
         of their fields.\n\n| | meaning |\n| --- | --- |\n| honoured | the field works as in Kubernetes, with all that is below \
         it and has no row of its own |\n| some values | the named values are accepted, others are refused |\n| no effect | the \
         field is accepted with a warning that says why it changes nothing |\n| refused | the field is refused, and the error \
         says what to do instead |\n\nA field that has no row is refused. `metadata` is honoured in all kinds, and `status` is \
         written by Sampan.\n\n## Kinds\n\nWhere the verbs are \"all\", they are {}.\n\n\
         | kind | version | short names | verbs | below an object |\n\
         | --- | --- | --- | --- | --- |\n",
        all.join(", ")
    );
    for resource in ALL.iter().filter(|resource| !is_absent(resource)) {
        let below: Vec<_> = resource.subresources.iter().map(|subresource| subresource.name()).collect();
        text += &format!(
            "| {} | `{}` | {} | {} | {} |\n",
            resource.kind,
            resource.api_version(),
            resource.short_names.join(", "),
            if resource.verbs() == all { "all".to_owned() } else { resource.verbs().join(", ") },
            below.join(", ")
        );
    }
    text += "\n## Kinds that have no objects here\n\nThey are served, so that tools which list them find none. Writing one is \
             refused, with what to do instead.\n\n| kind | instead |\n| --- | --- |\n";
    for resource in ALL {
        if let Some(instead) = instead(resource) {
            text += &format!("| {} | {} |\n", resource.kind, cell(instead));
        }
    }
    let mut template = None;
    for resource in ALL.iter().filter(|resource| !is_absent(resource)) {
        if resource.durability == Durability::Durable || !resource.honoured.is_empty() {
            template = section(&mut text, resource).or(template);
        }
    }
    text += "\n## Pod template\n\nThe paths are relative to the template.\n";
    show(&mut text, template.expect("a Deployment has a pod template"));
    text
}

#[test]
fn the_page_of_kinds_is_what_the_code_says() {
    keep("kinds.md", &page());
}
