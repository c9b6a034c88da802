//! Pushes and signatures, to registries that each say success in their own words.

use p256::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use registry_client::{Form, ImageStore, Progress, Registries, RegistrySettings, SigningKey, VerifyingKeys};

use crate::{
    component,
    fake::{Answer, Fake},
    store,
};

fn registries() -> Registries {
    Registries::new(RegistrySettings::default()).unwrap()
}

/// Pushes an image and signs it; then both are there. Gives the key to verify it by.
pub(crate) async fn push_and_sign(fake: &Fake) -> VerifyingKeys {
    let (_dir, store) = store();
    let pushed = push(&store, fake).await.unwrap();
    let secret = p256::SecretKey::from_slice(&[7; 32]).unwrap();
    let key = SigningKey::parse(&secret.to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap();
    let signed = registries().sign(&fake.image(), &key).await.unwrap();
    assert_eq!(signed.as_str(), pushed.as_str());
    let (_dir, other) = crate::store();
    let keys = VerifyingKeys::parse(&secret.public_key().to_public_key_pem(LineEnding::LF).unwrap()).unwrap();
    assert_eq!(registries().verify(&other, &fake.image(), &keys).await.unwrap(), Form::Tag);
    keys
}

pub(crate) async fn push(store: &ImageStore, fake: &Fake) -> Result<api::Digest, String> {
    let image = store.put_component(&fake.image(), component("pushed")).unwrap();
    let pushed =
        registries().push(store, &fake.image(), &Progress::untold()).await.map_err(|error| error.to_string())?;
    assert_eq!(pushed, image.digest);
    Ok(pushed)
}

#[tokio::test]
async fn any_success_of_a_registry_is_one_in_pushes_and_signatures() {
    for (begin, blob, manifest) in [(200, 200, 200), (201, 202, 202), (202, 204, 204), (202, 201, 201)] {
        let fake = Fake::start(move |request, usual| {
            let status = match request {
                request if request.is("POST", "/uploads/") => begin,
                request if request.is("PUT", "/uploads/") => blob,
                request if request.is("PUT", "/manifests/") => manifest,
                _ => return usual(),
            };
            let answer = usual();
            assert!(answer.status < 300, "{request:?}: {answer:?}");
            Answer { status, ..answer }
        });
        push_and_sign(&fake).await;
    }
}

#[tokio::test]
async fn blobs_that_are_there_are_not_sent_again_whatever_the_success() {
    let fake = Fake::start(|request, usual| match request {
        request if request.is("HEAD", "/blobs/") => Answer::of(204),
        _ => usual(),
    });
    push(&store().1, &fake).await.unwrap();
    assert_eq!((fake.asked("POST", "").len(), fake.asked("PUT", "/manifests/v1").len()), (0, 1));
}

#[tokio::test]
async fn an_upload_goes_where_the_registry_says_relative_or_not_and_with_its_query() {
    let places: [fn(&str) -> String; 4] = [
        |address| format!("http://{address}/v2/team/hello/blobs/uploads/1?_state=a%2Fb"),
        |_| "/v2/team/hello/blobs/uploads/1?_state=a%2Fb".to_owned(),
        // Relative to where the upload was begun.
        |_| "1?_state=a%2Fb&x".to_owned(),
        |address| format!("//{address}/elsewhere/blobs/uploads/1?y=&_state=a%2Fb"),
    ];
    for place in places {
        let fake = Fake::start(move |request, usual| match request {
            request if request.is("POST", "/uploads/") => {
                let location = place(&request.headers["host"]);
                Answer { headers: vec![("location", location)], ..Answer::of(202) }
            }
            _ => usual(),
        });
        push_and_sign(&fake).await;
        let sent = fake.asked("PUT", "/blobs/uploads/1");
        assert!(!sent.is_empty() && sent.iter().all(|request| request.values("_state") == ["a/b"]), "{sent:?}");
    }
}

#[tokio::test]
async fn an_upload_that_is_sent_on_goes_there_with_all_its_bytes() {
    for status in [307, 308] {
        let fake = Fake::start(move |request, usual| {
            if !request.is("PUT", "/blobs/uploads/") || !request.values("again").is_empty() {
                return usual();
            }
            Answer { headers: vec![("location", format!("{}&again=1", request.target))], ..Answer::of(status) }
        });
        push_and_sign(&fake).await;
        let sent = fake.asked("PUT", "/blobs/uploads/").len();
        assert!(sent > 0 && sent.is_multiple_of(2), "{status}: {sent}");
    }
    let circle = Fake::start(|request, usual| match request.is("PUT", "/blobs/uploads/") {
        true => Answer { headers: vec![("location", request.target.clone())], ..Answer::of(307) },
        false => usual(),
    });
    assert!(push(&store().1, &circle).await.unwrap_err().contains("307"));
}

#[tokio::test]
async fn what_is_no_success_is_none() {
    for (method, part, says) in
        [("POST", "/uploads/", "uploads"), ("PUT", "/uploads/", "blob"), ("PUT", "/manifests/", "m")]
    {
        let fake = Fake::start(move |request, usual| match request.is(method, part) {
            true => Answer { body: br#"{"errors":[{"code":"DENIED","message":"no"}]}"#.to_vec(), ..Answer::of(403) },
            false => usual(),
        });
        let refused = push(&store().1, &fake).await.unwrap_err();
        assert!(refused.contains("403") && refused.contains("DENIED"), "{says}: {refused}");
    }
    let in_words = Fake::start(|request, usual| match request.is("PUT", "/manifests/") {
        true => Answer { body: b"the quota of team is used up\n".to_vec(), ..Answer::of(400) },
        false => usual(),
    });
    assert!(push(&store().1, &in_words).await.unwrap_err().contains("the quota of team is used up"));
    let nowhere = Fake::start(|request, usual| match request.is("POST", "/uploads/") {
        true => Answer::of(202),
        false => usual(),
    });
    assert!(push(&store().1, &nowhere).await.unwrap_err().contains("where to upload to"));
}
