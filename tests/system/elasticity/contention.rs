use super::{Scaled, build, pods, ready, wait_until_asleep};
use crate::{
    client::Client,
    failures::{Kind, Load},
    sampan::{Sampan, wait_for},
};

#[test]
fn two_services_that_compete_for_a_full_worker_both_are_served_and_each_gets_what_the_other_frees() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::up_with(folder.path(), &["--guest-memory", "100Mi"]);
    build(&sampan);
    let requests = "resources: { requests: { memory: 32Mi }, limits: { memory: 32Mi } }";
    for name in ["one", "two"] {
        let scaled = Scaled { name, scale: "0..3", idle: "500ms", concurrency: 1, ..Scaled::default() };
        let image = format!("image: \"{}\"", scaled.image);
        super::apply(&sampan, &scaled.manifest().replace(&image, &format!("{image}, {requests}")));
    }
    for name in ["one", "two"] {
        wait_until_asleep(&sampan, name);
    }
    let host = |name: &str| format!("{name}.default.localhost");
    let one: &'static str = host("one").leak();
    // The first takes the whole worker.
    let load = Load::start(&sampan.http, one, 40.0, &[Kind::Sleep]);
    wait_for("it has all", || (ready(&sampan, "one") == 3).then_some(()));
    let two = Client::new(&sampan.http, Some(&host("two")));
    let refused = two.get("/env");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("memory"), "it says what is missing: {refused:?}");
    load.stop();
    let answer = wait_for("what the first frees serves the second", || {
        let answer = two.get("/env");
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(answer.status, 200);
    assert!(pods(&sampan, "one") < 3);
}
