use api::replica::{Isolation, LogLine, LogSource};

use crate::fleet::{Fleet, ask, get};

/// Texts of one source, as far as they are here.
fn said(fleet: &Fleet, source: LogSource) -> Vec<&str> {
    fleet.log.iter().filter(|line| line.source == source).map(|line| line.text.as_str()).collect()
}

#[tokio::test]
async fn what_is_written_through_several_handles_is_one_stream() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    for (to, source) in [("stdout", LogSource::Stdout), ("stderr", LogSource::Stderr)] {
        let path = format!("/pieces?to={to}&size=4&msg=one+two+three+to+{to}%0Afour%0D%0A");
        assert_eq!(ask(&probe, get(&path)).await.unwrap().0, 200);
        fleet.wait_for_line("four").await;
        assert_eq!(said(&fleet, source), [&format!("one two three to {to}")[..], "four"]);
        fleet.log.clear();
    }
}

#[tokio::test]
async fn a_character_that_is_split_between_handles_is_whole_in_the_log() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    assert_eq!(ask(&probe, get("/pieces?size=1&msg=%C3%A4%E2%9B%B5%F0%9F%8C%8A%0A")).await.unwrap().0, 200);
    assert_eq!(fleet.wait_for_line("ä").await.text, "ä⛵🌊");
}

#[tokio::test]
async fn a_last_line_without_an_end_is_shown_once_the_instance_has_ended() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    for to in ["stdout", "stderr"] {
        assert_eq!(ask(&probe, get(&format!("/pieces?to={to}&size=3&msg=unfinished+{to}"))).await.unwrap().0, 200);
        assert_eq!(fleet.wait_for_line(&format!("finished {to}")).await.text, format!("unfinished {to}"));
    }
}

#[tokio::test]
async fn a_line_that_is_too_long_is_cut_once_however_it_is_written() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    let path = format!("/pieces?size=4000&count={}&msg=x", LogLine::MAX_BYTES * 2);
    assert_eq!(ask(&probe, get(&path)).await.unwrap().0, 200);
    assert_eq!(ask(&probe, get("/stdout?msg=next")).await.unwrap().0, 200);
    fleet.wait_for_line("next").await;
    let lines = said(&fleet, LogSource::Stdout);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].len() <= LogLine::MAX_BYTES && lines[0].ends_with("(cut)"), "{}", lines[0].len());
}

#[tokio::test]
async fn a_line_goes_on_in_the_next_request_of_the_same_instance() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|spec| spec.limits.isolation = Isolation::Replica { max_reuse: 100 }).await;
    assert_eq!(ask(&probe, get("/pieces?msg=begun+in+one")).await.unwrap().0, 200);
    assert_eq!(ask(&probe, get("/pieces?msg=+and+ended+in+the+next%0A")).await.unwrap().0, 200);
    assert_eq!(fleet.wait_for_line("begun").await.text, "begun in one and ended in the next");
}

#[tokio::test]
async fn streams_of_different_instances_are_not_mixed() {
    let mut fleet = Fleet::new().await;
    let probe = fleet.probe(|_| {}).await;
    for _ in 0..2 {
        assert_eq!(ask(&probe, get("/pieces?msg=half+a+line")).await.unwrap().0, 200);
    }
    assert_eq!(ask(&probe, get("/stdout?msg=end")).await.unwrap().0, 200);
    fleet.wait_for_line("end").await;
    assert_eq!(said(&fleet, LogSource::Stdout), ["half a line", "half a line", "end"]);
}
