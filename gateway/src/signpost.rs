//! What answers on this machine: told to who is on it and asks for a host that does not.
//!
//! A page for browsers, JSON for others. Strangers are told nothing: neither those who connect from elsewhere, nor web pages whose
//! own name was turned to this machine, nor those behind a proxy on it.

use std::fmt::Write;

use http::{
    HeaderMap,
    header::{ACCEPT, FORWARDED, VIA},
    uri::Authority,
};
use serde_json::{Value, json};

use crate::{
    refusal::{Reason, Refusal},
    routing::{is_this_machine, normal_host},
    shared::Shared,
};

/// Services that are listed; of more, the number is told.
const MOST_LISTED: usize = 100;
/// What a proxy says of those that it asks for.
const OF_PROXIES: [&str; 3] = ["x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/// What an answer to an unknown host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signpost {
    /// Besides, as JSON: what answers, and where.
    Answering(Vec<Value>),
    /// For a browser, in place of JSON.
    Page(String),
}

/// Where something answers.
struct Place {
    url: String,
    service: String,
    /// Replicas that take requests.
    replicas: usize,
}

impl Signpost {
    /// For a request that came to a loopback address of this machine; `None`: it is not told.
    pub(crate) fn for_request(
        shared: &Shared,
        host: &Authority,
        headers: &HeaderMap,
        refusal: &Refusal,
    ) -> Option<Self> {
        let is_proxied = headers.contains_key(FORWARDED)
            || headers.contains_key(VIA)
            || OF_PROXIES.iter().any(|name| headers.contains_key(*name));
        if is_proxied {
            return None;
        }
        let wants_page = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(is_browser);
        let name = normal_host(host.host());
        // A page elsewhere can have its own name lead here, and would read the answer.
        if !is_this_machine(&name) && !name.ends_with(".localhost") {
            return wants_page.then(|| Self::Page(page_for_a_foreign_host(host, &Heading::refused(refusal))));
        }
        let (places, all) = places(shared, host.port_u16());
        Some(if wants_page {
            Self::Page(page(&places, all, host.port_u16(), &Heading::of(&name, refusal)))
        } else {
            Self::Answering(places.iter().map(Place::as_json).collect())
        })
    }
}

impl Place {
    fn as_json(&self) -> Value {
        json!({"url": self.url, "service": self.service, "replicas": self.replicas})
    }
}

/// Whether somebody who accepts this looks at a page: programs that take anything say so, and get JSON.
fn is_browser(accept: &str) -> bool {
    accept.split(',').any(|range| range.split(';').next().is_some_and(|kind| kind.trim() == "text/html"))
}

/// What rules lead to, then each Service by its name; and how many there are in all.
fn places(shared: &Shared, port: Option<u16>) -> (Vec<Place>, usize) {
    let port = port.filter(|port| *port != 80).map(|port| format!(":{port}")).unwrap_or_default();
    let directory = shared.directory.load();
    let place = |url: String, key: &api::ObjectKey| {
        let replicas = directory.service(key).map_or(0, |listed| listed.service.capacity().0);
        Place { url, service: key.to_string(), replicas }
    };
    let rules = shared.rules();
    let services = directory.names();
    let all = rules.len() + services.len();
    let of_rules = rules.iter().map(|(host, path, key)| place(format!("http://{host}{port}{path}"), key));
    let by_name =
        services.iter().map(|key| place(format!("http://{}.{}.localhost{port}/", key.name, key.namespace), key));
    (of_rules.chain(by_name).take(MOST_LISTED).collect(), all)
}

/// What a page begins with.
struct Heading {
    title: &'static str,
    why: String,
}

impl Heading {
    fn of(host: &str, refusal: &Refusal) -> Self {
        match refusal.reason {
            Reason::UnknownHost if is_this_machine(host) => Self {
                title: "Services on this machine",
                why: "Each answers by its own name; this address alone is none of them.".to_owned(),
            },
            _ => Self::refused(refusal),
        }
    }

    fn refused(refusal: &Refusal) -> Self {
        let why = format!("<b>{}</b> {}", refusal.reason.status().as_u16(), escaped(&refusal.message));
        Self { title: "Nothing answers here", why }
    }
}

fn page(places: &[Place], all: usize, port: Option<u16>, heading: &Heading) -> String {
    let mut list = String::new();
    for Place { url, service, replicas } in places {
        let state = match replicas {
            0 => "no replica is ready".to_owned(),
            1 => "1 replica".to_owned(),
            many => format!("{many} replicas"),
        };
        let (url, service) = (escaped(url), escaped(service));
        let _ = write!(list, "<li><a href=\"{url}\">{url}</a><span>{service} · {state}</span></li>");
    }
    let more = all.saturating_sub(places.len());
    let more =
        if more > 0 { format!("<p>and {more} more: <code>sampan get services</code></p>") } else { String::new() };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let body = if places.is_empty() {
        "<p>Nothing is deployed yet. <code>sampan dev</code> runs the project in a folder, <code>sampan apply -f FILE</code> \
         applies manifests.</p>"
            .to_owned()
    } else {
        format!(
            "<h2>What answers</h2><ul>{list}</ul>{more}<p class=\"note\">Programs that do not find names under \
             <code>.localhost</code> (wget, Python, Node) send the name along, \
             <code>curl -H 'Host: NAME.default.localhost' http://127.0.0.1{port}/</code>, or use a port of their own: \
             <code>sampan port-forward service/NAME 9000:80</code></p>"
        )
    };
    document(heading, &body)
}

fn page_for_a_foreign_host(host: &Authority, heading: &Heading) -> String {
    let port = host.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let body = format!(
        "<p>What does answer here is told at this machine's own name alone: \
         <a href=\"http://localhost{port}/\">http://localhost{port}/</a></p>"
    );
    document(heading, &body)
}

fn document(heading: &Heading, body: &str) -> String {
    let Heading { title, why } = heading;
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title} · Sampan</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1><p class=\"why\">{why}</p>{body}</main></body></html>\n"
    )
}

const STYLE: &str = ":root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--paper:#fff;--link:#0b5cad}\
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf1;--soft:#9aa5b4;--line:#343c47;--paper:#14181d;--link:#78b7ff}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\
main{max-width:44rem;margin:0 auto;padding:3rem 1.25rem}h1{font-size:1.6rem;line-height:1.2;margin:0 0 .5rem}\
h2{font-size:1rem;margin:2rem 0 .5rem}.why{color:var(--soft);margin:0;overflow-wrap:anywhere}\
ul{list-style:none;margin:0;padding:0;border-top:1px solid var(--line)}\
li{display:flex;flex-wrap:wrap;gap:0 1rem;justify-content:space-between;padding:.6rem 0;border-bottom:1px solid var(--line)}\
a{color:var(--link);overflow-wrap:anywhere}li span{color:var(--soft);font-size:.9rem}\
code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}.note{color:var(--soft);font-size:.9rem;margin-top:1.5rem}";

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_known_by_what_it_accepts() {
        assert!(is_browser("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(is_browser("application/json, text/html;q=0.5"));
        for program in ["*/*", "application/json", "text/plain", "text/*", ""] {
            assert!(!is_browser(program), "{program}");
        }
    }

    #[test]
    fn what_a_request_says_is_shown_and_not_obeyed() {
        let refusal = Refusal::new(Reason::UnknownHost, "no service is named `<script>alert(1)</script>`");
        let place = Place { url: "http://a\"b/".into(), service: "x/<y>".into(), replicas: 1 };
        let page = page(&[place], 1, Some(8080), &Heading::refused(&refusal));
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
        assert!(!page.contains("a\"b") && !page.contains("<y>"), "{page}");
    }
}
