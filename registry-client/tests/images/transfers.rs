//! Downloads that break off, from registries that each go on in their own way.

use std::sync::atomic::{AtomicUsize, Ordering};

use registry_client::{DiskReserve, ImageStore, RESERVE_FLAG};

use crate::{
    component,
    fake::{Answer, Asked, Fake},
    pushes::push,
    store,
    tokens::pull,
};

/// A registry that breaks off the first answer with a component, and answers `next` to who goes on.
fn breaking_off(next: impl Fn(&Asked, Answer) -> Answer + Send + Sync + 'static) -> Fake {
    let (size, times) = (component("pushed").len(), AtomicUsize::new(0));
    Fake::start(move |request, usual| {
        if !request.is("GET", "/blobs/") {
            return usual();
        }
        let usual = usual();
        match request.headers.contains_key("range") {
            true => next(request, usual),
            false if usual.body.len() == size && times.fetch_add(1, Ordering::Relaxed) == 0 => {
                Answer { breaks_off_at: Some(size / 2), ..usual }
            }
            false => usual,
        }
    })
}

#[tokio::test]
async fn a_download_goes_on_or_begins_anew_as_the_registry_answers() {
    let size = component("pushed").len();
    let whole = || component("pushed").to_vec();
    type Next = Box<dyn Fn(&Asked, Answer) -> Answer + Send + Sync>;
    let ways: [(&str, Next); 6] = [
        ("as asked", Box::new(|_, usual| usual)),
        ("the whole, with 200", Box::new(move |_, _| Answer { body: whole(), ..Answer::of(200) })),
        (
            "the whole, as a part",
            Box::new(move |_, _| {
                let range = vec![("content-range", format!("bytes 0-{}/{size}", size - 1))];
                Answer { body: whole(), headers: range, ..Answer::of(206) }
            }),
        ),
        (
            "a unit in capitals, without the length",
            Box::new(move |_, usual| {
                let range = vec![("content-range", format!("Bytes {}-{}/*", size / 2, size - 1))];
                Answer { headers: range, ..usual }
            }),
        ),
        ("no range", Box::new(|_, usual| Answer { headers: Vec::new(), ..usual })),
        ("416", Box::new(|_, _| Answer::of(416))),
    ];
    for (how, next) in ways {
        let fake = breaking_off(next);
        let pushed = push(&store().1, &fake).await.unwrap();
        assert_eq!(pull(&store().1, &fake, &[]).await, Ok(pushed), "{how}");
        assert_eq!(
            fake.asked("GET", "/blobs/").iter().filter(|asked| asked.headers.contains_key("range")).count(),
            1,
            "{how}"
        );
    }
}

#[tokio::test]
async fn what_is_asked_for_is_asked_for_as_it_is_stored() {
    let fake = Fake::start(|_, usual| usual());
    push(&store().1, &fake).await.unwrap();
    pull(&store().1, &fake, &[]).await.unwrap();
    let asked = fake.asked("GET", "/v2/");
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.headers["accept-encoding"] == "identity"), "{asked:?}");
    for part in ["/manifests/", "/blobs/"] {
        let zipped = Fake::start(move |request, usual| match request.is("GET", part) {
            true => Answer { headers: vec![("content-encoding", "gzip".into())], ..usual() },
            false => usual(),
        });
        push(&store().1, &zipped).await.unwrap();
        let refused = pull(&store().1, &zipped, &[]).await.unwrap_err();
        assert!(refused.contains("in the coding `gzip`"), "{refused}");
    }
}

#[tokio::test]
async fn below_the_reserve_of_the_disk_nothing_is_pulled_and_the_flag_is_named() {
    let fake = Fake::start(|_, usual| usual());
    push(&store().1, &fake).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let reserve = DiskReserve::of(dir.path(), Some(u64::MAX));
    let above = ImageStore::open_above(dir.path().join("images"), reserve).unwrap();
    let refused = format!("{:?}", pull(&above, &fake, &[]).await.unwrap_err());
    assert!(refused.contains(RESERVE_FLAG), "{refused}");
    assert!(above.list().unwrap().is_empty());
}
