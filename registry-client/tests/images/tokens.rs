//! Registries that want tokens: what they are asked for, how often, and with whose credentials.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use registry_client::{Access, DockerConfig, ImageStore, RegistrySettings, Request};
use serde_json::json;

use crate::{
    component,
    fake::{Answer, Asked, Fake},
    pushes::{push, push_and_sign},
    registries, store,
};

/// The tokens of a fake, by their text: what each is for, and how often it was used.
#[derive(Default)]
struct Issued(Mutex<BTreeMap<String, (Vec<String>, usize)>>);

impl Issued {
    fn issue(&self, scopes: Vec<String>) -> Answer {
        let mut issued = self.0.lock().unwrap();
        let token = format!("t{}", issued.len());
        issued.insert(token.clone(), (scopes, 0));
        Answer::json(&json!({ "token": token }).to_string())
    }

    /// What the token that is shown is for, and how often it was used before.
    fn shown(&self, request: &Asked) -> Option<(Vec<String>, usize)> {
        let mut issued = self.0.lock().unwrap();
        let (scopes, uses) = issued.get_mut(request.shown()?.strip_prefix("Bearer ")?)?;
        *uses += 1;
        Some((scopes.clone(), *uses))
    }
}

fn bearer(request: &Asked, rest: &str) -> String {
    format!("Bearer realm=\"http://{}/token\",service=\"the shop\"{rest}", request.headers["host"])
}

/// A registry whose requests need a token that `needs` likes; else they are told `rest` of the challenge.
fn guarded(
    needs: impl Fn(&Asked, &[String], usize) -> bool + Send + Sync + 'static,
    rest: impl Fn(&Asked) -> String + Send + Sync + 'static,
) -> Fake {
    let issued = Issued::default();
    Fake::start(move |request, usual| {
        if request.path() == "/token" {
            return issued.issue(request.values("scope"));
        }
        match issued.shown(request) {
            Some((scopes, uses)) if needs(request, &scopes, uses) => usual(),
            _ => Answer::challenge(&[&bearer(request, &rest(request))]),
        }
    })
}

pub(crate) async fn pull(
    store: &ImageStore,
    fake: &Fake,
    secrets: &[serde_json::Value],
) -> Result<api::Digest, String> {
    let keys =
        secrets.iter().map(|auths| DockerConfig::parse(json!({ "auths": auths }).to_string().as_bytes()).unwrap());
    let access = Access::of_namespace("shop", keys.collect());
    let request = Request { access, ..Request::of_machine(fake.image()) };
    let pulled = registries(RegistrySettings::default()).pull(store, &request).await;
    pulled.map(|image| image.digest).map_err(|error| error.to_string())
}

fn scopes(fake: &Fake) -> Vec<Vec<String>> {
    fake.asked("GET", "/token").iter().map(|request| request.values("scope")).collect()
}

#[tokio::test]
async fn a_token_server_that_is_busy_is_asked_again_and_only_a_refusal_is_told_to_log_in() {
    for (status, hint) in [(408, false), (429, false), (503, false), (401, true), (403, true)] {
        let asked = Arc::new(Mutex::new(0));
        let issued = Issued::default();
        let busy = Fake::start(move |request, usual| {
            if request.path() == "/token" {
                *asked.lock().unwrap() += 1;
                let refuses = hint || *asked.lock().unwrap() < 3;
                let refusal = Answer { headers: vec![("retry-after", "0".into())], ..Answer::of(status) };
                return if refuses { refusal } else { issued.issue(request.values("scope")) };
            }
            if issued.shown(request).is_some() { usual() } else { Answer::challenge(&[&bearer(request, "")]) }
        });
        match push(&store().1, &busy).await {
            Ok(_) => assert!(!hint && busy.asked("GET", "/token").len() == 3, "{status}"),
            Err(why) => assert!(hint && why.contains("sampan login"), "{status}: {why}"),
        }
    }
}

#[tokio::test]
async fn a_token_server_may_be_named_relative_to_the_registry() {
    let issued = Issued::default();
    let fake = Fake::start(move |request, usual| match issued.shown(request) {
        _ if request.path() == "/token" => issued.issue(request.values("scope")),
        Some(_) => usual(),
        None => Answer::challenge(&["Bearer realm=\"/token\",service=\"the shop\""]),
    });
    push(&store().1, &fake).await.unwrap();
}

#[tokio::test]
async fn a_token_is_asked_for_what_the_registry_says_and_not_for_what_the_image_is_called() {
    let all = ["repository:hello:pull,push", "repository:base:pull"];
    let fake = guarded(move |_, scopes, _| scopes == all, move |_| format!(",scope=\"{}\"", all.join(" ")));
    push(&store().1, &fake).await.unwrap();
    pull(&store().1, &fake, &[]).await.unwrap();
    assert_eq!(scopes(&fake), [all, all]);
    assert!(fake.asked("GET", "/token").iter().all(|asked| asked.values("service") == ["the shop"]));
}

#[tokio::test]
async fn where_the_registry_names_no_scope_it_is_the_repositorys() {
    let fake = guarded(|_, scopes, _| !scopes.is_empty(), |_| String::new());
    push(&store().1, &fake).await.unwrap();
    assert_eq!(scopes(&fake), [["repository:team/hello:pull,push"]]);
}

#[tokio::test]
async fn a_token_that_is_not_enough_is_asked_for_again_with_the_wider_scope() {
    for status in [401, 403] {
        let issued = Issued::default();
        let fake = Fake::start(move |request, usual| {
            if request.path() == "/token" {
                return issued.issue(request.values("scope"));
            }
            let scope =
                if request.method == "HEAD" { "repository:x:pull" } else { "repository:x:push repository:y:pull" };
            let shown = issued.shown(request);
            let has = |scopes: &[String], action: &str| scopes.iter().any(|scope| scope.contains(action));
            match shown {
                Some((scopes, _)) if request.method == "HEAD" && has(&scopes, "pull") => usual(),
                Some((scopes, _)) if has(&scopes, "push") => usual(),
                None => Answer::challenge(&[&bearer(request, &format!(",scope=\"{scope}\""))]),
                Some(_) => {
                    let challenge = bearer(request, &format!(",scope=\"{scope}\",error=\"insufficient_scope\""));
                    Answer { status, ..Answer::challenge(&[&challenge]) }
                }
            }
        });
        push(&store().1, &fake).await.unwrap();
        let wider = vec!["repository:x:push,pull".to_owned(), "repository:y:pull".to_owned()];
        assert_eq!(scopes(&fake), [vec!["repository:x:pull".to_owned()], wider], "what was allowed stays so");
    }
}

#[tokio::test]
async fn a_registry_that_wants_exactly_what_it_says_gets_that() {
    let wanted = |request: &Asked| {
        if request.method == "HEAD" { "repository:team/hello:pull" } else { "repository:team/hello:push" }
    };
    let fake =
        guarded(move |request, scopes, _| scopes == [wanted(request)], move |r| format!(",scope=\"{}\"", wanted(r)));
    push(&store().1, &fake).await.unwrap();
}

#[tokio::test]
async fn of_several_challenges_one_is_taken_that_can_be_met() {
    let several: [fn(&str) -> Vec<String>; 3] = [
        |token| vec![format!("Basic realm=\"a, b\", {token}")],
        |token| vec![format!("{token}, Basic realm=\"x\"")],
        |token| vec!["Negotiate".to_owned(), "Basic realm=\"x\"".to_owned(), token.replace("Bearer", "bEARER")],
    ];
    for challenges in several {
        let issued = Issued::default();
        let fake = Fake::start(move |request, usual| match request.path() {
            "/token" => issued.issue(request.values("scope")),
            _ if issued.shown(request).is_some() => usual(),
            _ => {
                let all = challenges(&bearer(request, ",scope=\"repository:a:pull,push\""));
                Answer::challenge(&all.iter().map(String::as_str).collect::<Vec<_>>())
            }
        });
        push(&store().1, &fake).await.unwrap();
        assert_eq!(scopes(&fake), [["repository:a:pull,push"]]);
    }
}

#[tokio::test]
async fn a_password_is_shown_where_the_token_server_is_of_no_use() {
    let fake = Fake::start(|request, usual| match request.path() {
        "/token" => Answer::of(500),
        _ if request.shown() == Some("Basic YTpi") || request.method == "PUT" || request.method == "POST" => usual(),
        _ if request.method == "HEAD" => usual(),
        _ => Answer::challenge(&[&bearer(request, ",scope=\"x\""), "Basic realm=\"x\""]),
    });
    let pushed = push(&store().1, &fake).await.unwrap();
    let secret = json!({ fake.address.as_str(): { "username": "a", "password": "b" } });
    assert_eq!(pull(&store().1, &fake, &[secret]).await.unwrap(), pushed);
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_a_form_and_its_successor_is_used_next() {
    let issued = Arc::new(Issued::default());
    let all = issued.clone();
    let fake = Fake::start(move |request, usual| match request.path() {
        "/token" => {
            let token = issued.issue(request.values("scope")).body;
            let mut token: serde_json::Value = serde_json::from_slice(&token).unwrap();
            token["access_token"] = token["token"].take();
            token["refresh_token"] = json!(format!("{}+", request.values("refresh_token")[0]));
            Answer::json(&token.to_string())
        }
        _ if request.method != "GET" => usual(),
        _ if issued.shown(request).is_some_and(|(_, uses)| uses == 1) => usual(),
        _ => Answer::challenge(&[&bearer(request, ",scope=\"repository:a:pull repository:b:pull\"")]),
    });
    push(&store().1, &fake).await.unwrap();
    let secret = json!({ fake.address.as_str(): { "auth": "YTpi", "identitytoken": "id" } });
    pull(&store().1, &fake, &[secret]).await.unwrap();
    let forms = fake.asked("POST", "/token");
    let exchanged: Vec<_> = forms.iter().map(|form| form.values("refresh_token").concat()).collect();
    assert_eq!(exchanged, ["id", "id+", "id++"]);
    assert!(forms.iter().all(|form| form.values("grant_type") == ["refresh_token"]));
    assert_eq!(all.0.lock().unwrap()["t0"].0, ["repository:a:pull repository:b:pull"], "one field, as OAuth2 has it");
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_asked_for_again_once_each() {
    for lasts in [1, 2, 3] {
        let fake =
            guarded(move |_, _, uses| uses <= lasts, |_| ",scope=\"repository:team/hello:pull,push\"".to_owned());
        push(&store().1, &fake).await.unwrap();
        let (pushed, requests) = (scopes(&fake).len(), 2 * 3 + 1);
        assert_eq!(pushed, usize::div_ceil(requests, lasts), "a push with tokens for {lasts} requests");
        pull(&store().1, &fake, &[]).await.unwrap();
        assert_eq!(scopes(&fake).len() - pushed, usize::div_ceil(3, lasts), "a pull with tokens for {lasts} requests");
    }
}

#[tokio::test]
async fn a_download_that_broke_off_goes_on_with_a_new_token() {
    let issued = Issued::default();
    let fake = Fake::start(move |request, usual| {
        if request.path() == "/token" {
            return issued.issue(request.values("scope"));
        }
        match issued.shown(request) {
            Some((_, 1)) if request.is("GET", "/blobs/") && !request.headers.contains_key("range") => {
                let answer = usual();
                let half = answer.body.len() / 2;
                Answer { breaks_off_at: Some(half), ..answer }
            }
            Some((_, 1)) => usual(),
            _ => Answer::challenge(&[&bearer(request, "")]),
        }
    });
    let pushed = push(&store().1, &fake).await.unwrap();
    assert_eq!(pull(&store().1, &fake, &[]).await.unwrap(), pushed);
    let resumed = fake.asked("GET", "/blobs/").into_iter().filter(|request| request.headers.contains_key("range"));
    assert_eq!(resumed.count(), 4, "each blob is asked for in two parts, the second with two tokens");
}

#[tokio::test]
async fn a_token_that_is_refused_straight_away_fails() {
    let fake = guarded(|_, _, _| false, |_| ",scope=\"repository:team/hello:pull\"".to_owned());
    let refused = pull(&store().1, &fake, &[]).await.unwrap_err();
    assert!(refused.contains("401"), "{refused}");
    assert_eq!(scopes(&fake).len(), 1);
}

#[tokio::test]
async fn a_token_whose_time_is_over_is_not_shown() {
    let tokens = Mutex::new(0);
    let fake = Fake::start(move |request, usual| {
        if request.path() == "/token" {
            let mut tokens = tokens.lock().unwrap();
            *tokens += 1;
            return Answer::json(&json!({ "token": format!("t{tokens}"), "expires_in": 1 }).to_string());
        }
        match request.shown() {
            Some(shown) => {
                if request.is("PUT", "/uploads/") && shown == "Bearer t1" {
                    std::thread::sleep(std::time::Duration::from_millis(1100));
                }
                usual()
            }
            None => Answer::challenge(&[&bearer(request, "")]),
        }
    });
    push(&store().1, &fake).await.unwrap();
    assert!(fake.asked("PUT", "/manifests/").iter().all(|request| request.shown() != Some("Bearer t1")));
}

#[tokio::test]
async fn credentials_whose_keys_fit_are_tried_one_after_the_other() {
    let (dir, store) = store();
    let image = store.put_component("x", component("pushed")).unwrap();
    drop(dir);
    for refusal in [401, 403, 404] {
        let fake = Fake::start(move |request, usual| match request.shown() {
            _ if request.method != "GET" => usual(),
            Some("Basic cmlnaHQ6cHc=") => usual(),
            Some(_) if refusal != 401 => Answer::of(refusal),
            _ => Answer::challenge(&["Basic realm=\"x\""]),
        });
        push(&crate::store().1, &fake).await.unwrap();
        let (host, port) = fake.address.split_once(':').unwrap();
        let entry = |name: &str| json!({ "username": name, "password": "pw" });
        let secrets = [
            json!({ format!("*.0.0.1:{port}"): entry("right"), "other.example": entry("never") }),
            json!({ format!("http://{host}:{port}/v2/team"): entry("wrong"), format!("{host}:{port}"): entry("older") }),
        ];
        assert_eq!(pull(&crate::store().1, &fake, &secrets).await.unwrap(), image.digest, "{refusal}");
        let mut shown: Vec<_> =
            fake.asked("GET", "/manifests/").iter().filter_map(|a| a.shown().map(str::to_owned)).collect();
        shown.dedup();
        assert_eq!(shown, ["Basic d3Jvbmc6cHc=", "Basic b2xkZXI6cHc=", "Basic cmlnaHQ6cHc="], "{refusal}");
    }
}

#[tokio::test]
async fn signatures_too_are_looked_for_with_the_credentials_that_the_registry_takes() {
    for refusal in [401, 403, 404] {
        let is_open = Arc::new(AtomicBool::new(true));
        let open = is_open.clone();
        let fake = Fake::start(move |request, usual| match request.shown() {
            _ if open.load(Ordering::SeqCst) => usual(),
            Some("Basic cmlnaHQ6cHc=") => usual(),
            Some(_) if refusal != 401 => Answer::of(refusal),
            _ => Answer::challenge(&["Basic realm=\"x\""]),
        });
        let keys = push_and_sign(&fake).await;
        is_open.store(false, Ordering::SeqCst);
        let entry = |name: &str| json!({ "username": name, "password": "pw" });
        let address = &fake.address;
        let auths = json!({ "auths": { address.as_str(): entry("right"), format!("{address}/team"): entry("wrong") } });
        let access = Access::of_namespace("shop", vec![DockerConfig::parse(auths.to_string().as_bytes()).unwrap()]);
        let request = Request { access, signed_by: Some(keys), ..Request::of_machine(fake.image()) };
        let registries = registries(RegistrySettings::default());
        let resolved = registries.resolve(&store().1, &request).await;
        assert!(resolved.is_ok(), "{refusal}: {resolved:?}");
    }
}
