//! The one request that a Pod's `wget` or `curl` makes.

use std::time::Duration;

use http::{Method, Uri};
use serde_json::Value;

use super::{MAX_TIMEOUT, TIMEOUT};
use crate::fields::FieldError;

const CONTAINERS: &str = "spec.containers";
const COMMAND: &str = "spec.containers[0].command";
const WHAT_RUNS: &str = "a Pod of its own runs no program: it asks one URL of a Service, with `wget URL` or `curl URL`; \
                         what is to serve is a Deployment";

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// With the query.
    pub(super) path: String,
    /// Whether an answer of 400 and more is a failure.
    pub(super) fails_by_status: bool,
    pub(super) timeout: Duration,
}

/// A program whose requests are made.
struct Program {
    name: &'static str,
    /// Options that change nothing here.
    flags: &'static [&'static str],
    /// Options with a value that changes nothing here.
    with_value: &'static [&'static str],
    /// Options whose value is how many seconds are waited for.
    timeouts: &'static [&'static str],
    /// Options after which only the head is asked for.
    heads: &'static [&'static str],
    /// Options after which an answer of 400 and more is a failure; none: it always is.
    fails: &'static [&'static str],
}

const PROGRAMS: [Program; 2] = [
    Program {
        name: "wget",
        flags: &[
            "-q",
            "--quiet",
            "-S",
            "--server-response",
            "-c",
            "-nv",
            "--no-verbose",
            "--no-check-certificate",
            "-qO-",
            "-O-",
        ],
        with_value: &["-O", "--output-document", "-qO", "-t", "--tries", "-P"],
        timeouts: &["-T", "--timeout"],
        heads: &["--spider"],
        fails: &[],
    },
    Program {
        name: "curl",
        flags: &[
            "-s",
            "--silent",
            "-S",
            "--show-error",
            "-sS",
            "-v",
            "--verbose",
            "-k",
            "--insecure",
            "-L",
            "--location",
        ],
        with_value: &["-o", "--output", "--retry", "--retry-delay", "-w", "--write-out"],
        timeouts: &["-m", "--max-time", "--connect-timeout"],
        heads: &["-I", "--head"],
        fails: &["-f", "--fail", "-sf", "-fs", "-fsS", "-sSf", "-fsSL", "-sfL", "-fL", "--fail-with-body"],
    },
];

/// Everything that is wrong with a Pod that a user makes, but for fields that the rules refuse.
pub(crate) fn problems(pod: &Value) -> Vec<FieldError> {
    let once = FieldError::required("spec.restartPolicy", "is missing: write `Never`, since such a Pod asks once");
    let policy = pod["spec"]["restartPolicy"].is_null().then_some(once);
    Check::of(pod).err().into_iter().chain(policy).collect()
}

impl Check {
    /// Reads what a Pod asks for.
    pub(crate) fn of(pod: &Value) -> Result<Self, FieldError> {
        let containers = pod["spec"]["containers"].as_array().map_or(&[][..], Vec::as_slice);
        let [container] = containers else {
            return Err(FieldError::not_supported(CONTAINERS, format!("must be one: {WHAT_RUNS}")));
        };
        let words = words_of(container);
        let unknown = || FieldError::not_supported(COMMAND, format!("is not supported: {WHAT_RUNS}"));
        let (first, rest) = words.split_first().ok_or_else(unknown)?;
        let name = first.rsplit('/').next().unwrap_or_default();
        let program = PROGRAMS.iter().find(|program| program.name == name).ok_or_else(unknown)?;
        program.read(rest)
    }

    /// As it is shown.
    pub(super) fn url(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{} http://{}{port}{}", self.method, self.host, self.path)
    }
}

/// The command line. Without a command it is the image's own, which is known where the image is called like the program; other
/// images run what the arguments say, as `kubectl run --image=busybox -- wget URL` has it.
fn words_of(container: &Value) -> Vec<String> {
    let list = |field: &str| {
        let words = container[field].as_array().into_iter().flatten();
        words.filter_map(|word| Some(word.as_str()?.to_owned())).collect::<Vec<_>>()
    };
    let mut words = list("command");
    if words.is_empty() {
        let image = container["image"].as_str().unwrap_or_default();
        let name = image.rsplit('/').next().unwrap_or_default().split(['@', ':']).next().unwrap_or_default();
        words.extend(PROGRAMS.iter().any(|program| program.name == name).then(|| name.to_owned()));
    }
    words.extend(list("args"));
    words
}

impl Program {
    fn read(&self, words: &[String]) -> Result<Check, FieldError> {
        let wrong = |message: String| FieldError::not_supported(COMMAND, message);
        let (mut url, mut timeout, mut method) = (None, TIMEOUT, Method::GET);
        let mut fails_by_status = self.fails.is_empty();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (option, attached) = match word.split_once('=') {
                Some((option, value)) if word.starts_with("--") => (option, Some(value)),
                _ => (word.as_str(), None),
            };
            let mut value = || attached.or_else(|| words.next().map(String::as_str)).unwrap_or_default();
            match option {
                option if self.flags.contains(&option) => {}
                option if self.heads.contains(&option) => method = Method::HEAD,
                option if self.fails.contains(&option) => fails_by_status = true,
                option if self.with_value.contains(&option) => {
                    value();
                }
                option if self.timeouts.contains(&option) => {
                    let text = value();
                    let seconds = text.trim_end_matches('s').parse().ok().filter(|seconds| *seconds > 0);
                    let seconds = seconds.ok_or_else(|| wrong(format!("`{option} {text}` is no number of seconds")))?;
                    timeout = Duration::from_secs(seconds).min(MAX_TIMEOUT);
                }
                option if option.starts_with('-') => {
                    return Err(wrong(format!("`{} {option}` is not supported: {WHAT_RUNS}", self.name)));
                }
                _ if url.is_some() => return Err(wrong(format!("names two URLs: {WHAT_RUNS}"))),
                word => url = Some(word),
            }
        }
        let url = url.ok_or_else(|| wrong(format!("names no URL: {WHAT_RUNS}")))?;
        let (host, port, path) = parts(url).map_err(wrong)?;
        Ok(Check { method, host, port, path, fails_by_status, timeout })
    }
}

fn parts(url: &str) -> Result<(String, Option<u16>, String), String> {
    let rest = match url.split_once("://") {
        Some(("http", rest)) => rest,
        Some((scheme, _)) => return Err(format!("`{url}` has the scheme `{scheme}`: Services speak plain `http`")),
        None => url,
    };
    let uri: Uri = format!("http://{rest}").parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| format!("`{url}` names no host"))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok((host.to_owned(), uri.port_u16(), path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(image: &str, command: &[&str], args: &[&str]) -> Result<Check, String> {
        let pod =
            json!({ "spec": { "containers": [ { "name": "c", "image": image, "command": command, "args": args } ] } });
        Check::of(&pod).map_err(|error| error.to_string())
    }

    #[test]
    fn what_tests_of_charts_ask_is_read() {
        let asked = check("busybox", &["wget"], &["demo:80"]).unwrap();
        assert_eq!((asked.host.as_str(), asked.port, asked.path.as_str()), ("demo", Some(80), "/"));
        assert!(asked.fails_by_status);
        let asked = check("busybox", &["/bin/wget", "-qO-", "-T", "5", "http://demo.shop/a?b=c"], &[]).unwrap();
        assert_eq!((asked.host.as_str(), asked.port, asked.path.as_str()), ("demo.shop", None, "/a?b=c"));
        assert_eq!(asked.timeout, Duration::from_secs(5));
        let asked =
            check("docker.io/curlimages/curl:8.1", &[], &["-sS", "--max-time=3", "http://demo/health"]).unwrap();
        assert!(!asked.fails_by_status && asked.timeout == Duration::from_secs(3));
        assert!(check("curlimages/curl", &["curl", "--fail", "demo"], &[]).unwrap().fails_by_status);
        assert_eq!(check("busybox:1.36", &[], &["wget", "-qO-", "demo"]).unwrap().host, "demo");
        assert_eq!(check("busybox", &["wget", "--spider", "demo"], &[]).unwrap().method, Method::HEAD);
    }

    #[test]
    fn what_would_be_another_program_is_refused_with_what_a_pod_can_do() {
        for (command, word) in [
            (&["sh", "-c", "wget demo"][..], "wget URL"),
            (&["wget", "--post-data", "x", "demo"], "--post-data"),
            (&["wget"], "no URL"),
            (&["wget", "a", "b"], "two URLs"),
            (&["curl", "https://demo"], "https"),
            (&["curl", "-m", "soon", "demo"], "seconds"),
        ] {
            let said = check("busybox", command, &[]).unwrap_err();
            assert!(said.contains(word), "{command:?}: {said}");
        }
        assert!(check("nginx", &[], &[]).unwrap_err().contains("Deployment"));
    }
}
