//! HTTP as a user's client speaks it, with cookies when wanted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

/// One user: keeps cookies between its requests.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    host: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) retry_after: Option<String>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }
}

impl Client {
    /// Speaks to `address` (`host:port`); with `host` as the Host header where the name does not resolve.
    pub(crate) fn new(address: &str, host: Option<&str>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self { agent: config.into(), base: format!("http://{address}"), host: host.map(str::to_owned) }
    }

    /// A user who comes back: with the cookies of an earlier [`Self::cookies`].
    pub(crate) fn with_cookies(address: &str, host: Option<&str>, cookies: Vec<String>) -> Self {
        let client = Self::new(address, host);
        let uri = client.base.parse().expect("an address");
        let mut jar = client.agent.cookie_jar_lock();
        for text in cookies {
            let cookie = ureq::Cookie::parse(text, &uri).expect("a cookie");
            jar.insert(cookie, &uri).expect("a cookie of this host");
        }
        jar.release();
        client
    }

    /// The cookies that it was given, each `name=value`.
    pub(crate) fn cookies(&self) -> Vec<String> {
        let jar = self.agent.cookie_jar_lock();
        jar.iter().map(|cookie| format!("{}={}", cookie.name(), cookie.value())).collect()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).expect("an answer")
    }

    pub(crate) fn try_get(&self, path: &str) -> Result<Answer, ureq::Error> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(host) = &self.host {
            request = request.header("host", host);
        }
        read(request.call()?)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        let mut request = self.agent.delete(format!("{}{path}", self.base));
        if let Some(host) = &self.host {
            request = request.header("host", host);
        }
        read(request.call().expect("an answer")).expect("a whole answer")
    }

    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send(self.agent.post(format!("{}{path}", self.base)), "application/json", body.to_string())
    }

    pub(crate) fn put_text(&self, path: &str, body: &str) -> Answer {
        self.send(self.agent.put(format!("{}{path}", self.base)), "text/plain", body.to_owned())
    }

    pub(crate) fn try_put_text(&self, path: &str, body: &str) -> Result<Answer, ureq::Error> {
        self.try_send(self.agent.put(format!("{}{path}", self.base)), "text/plain", body.to_owned())
    }

    pub(crate) fn try_post_text(&self, path: &str, content_type: &str, body: &str) -> Result<Answer, ureq::Error> {
        self.try_send(self.agent.post(format!("{}{path}", self.base)), content_type, body.to_owned())
    }

    pub(crate) fn patch_json(&self, path: &str, body: &Value) -> Answer {
        self.send(self.agent.patch(format!("{}{path}", self.base)), "application/json", body.to_string())
    }

    pub(crate) fn post_text(&self, path: &str, content_type: &str, body: &str) -> Answer {
        self.send(self.agent.post(format!("{}{path}", self.base)), content_type, body.to_owned())
    }

    fn send(&self, request: ureq::RequestBuilder<ureq::typestate::WithBody>, kind: &str, body: String) -> Answer {
        self.try_send(request, kind, body).expect("an answer")
    }

    fn try_send(
        &self,
        mut request: ureq::RequestBuilder<ureq::typestate::WithBody>,
        kind: &str,
        body: String,
    ) -> Result<Answer, ureq::Error> {
        if let Some(host) = &self.host {
            request = request.header("host", host);
        }
        read(request.content_type(kind).send(body)?)
    }
}

fn read(response: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let (parts, mut body) = response.into_parts();
    let retry_after = parts.headers.get("retry-after").and_then(|value| Some(value.to_str().ok()?.to_owned()));
    Ok(Answer { status: parts.status.as_u16(), body: body.read_to_string()?, retry_after })
}

/// Clients that send one request after the other until they are stopped.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Load {
    pub(crate) fn start(address: &str, host: Option<&str>, path: &'static str, clients: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let clients = (0..clients)
            .map(|_| {
                let (client, over) = (Client::new(address, host), Arc::clone(&over));
                thread::spawn(move || send_until(&over, &client, path))
            })
            .collect();
        Self { over, clients }
    }

    /// How many were sent, and what went wrong with those that failed.
    pub(crate) fn stop(self) -> (usize, Vec<String>) {
        self.over.store(true, Ordering::Relaxed);
        let results = self.clients.into_iter().map(|client| client.join().expect("no client panicked"));
        results.fold((0, Vec::new()), |(sent, mut failed), (more, others)| {
            failed.extend(others);
            (sent + more, failed)
        })
    }
}

fn send_until(over: &AtomicBool, client: &Client, path: &str) -> (usize, Vec<String>) {
    let (mut sent, mut failed) = (0, Vec::new());
    while !over.load(Ordering::Relaxed) {
        sent += 1;
        match client.try_get(path) {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => failed.push(format!("{answer:?}")),
            Err(error) => failed.push(error.to_string()),
        }
    }
    (sent, failed)
}
