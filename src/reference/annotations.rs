use api::annotations::{ALL, Annotation};

use super::{GENERATED, cell, keep};

const SET_BY_SAMPAN: &str = "(set by Sampan)";

fn page() -> String {
    let is_own = |annotation: &&Annotation| annotation.on.contains(SET_BY_SAMPAN);
    let mut text = format!(
        "# Annotations\n\n{GENERATED}\n\nWhat Kubernetes has no field for is an annotation under `sampan.dev/`: `concurrency` \
         below is\n`sampan.dev/concurrency`. An annotation that Sampan does not know, or on another object than its own, is \
         refused.\n\n| annotation | on | default | meaning |\n| --- | --- | --- | --- |\n"
    );
    let name = |annotation: &Annotation| annotation.key.trim_start_matches("sampan.dev/").to_owned();
    for annotation in ALL.iter().filter(|annotation| !is_own(annotation)) {
        let Annotation { on, default, meaning, .. } = annotation;
        text += &format!("| `{}` | {on} | {default} | {} |\n", name(annotation), cell(meaning));
    }
    text += "\n## Set by Sampan\n\nThese are written by Sampan. They are for reading.\n\n| annotation | on | meaning |\n\
             | --- | --- | --- |\n";
    for annotation in ALL.iter().filter(is_own) {
        let on = annotation.on.trim_end_matches(SET_BY_SAMPAN).trim();
        text += &format!("| `{}` | {on} | {} |\n", name(annotation), cell(annotation.meaning));
    }
    text
}

#[test]
fn the_page_of_annotations_is_what_the_code_says() {
    keep("annotations.md", &page());
}
