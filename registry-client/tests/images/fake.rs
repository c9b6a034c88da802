//! A registry on a port of its own that takes images, and answers as a test wants it to.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use sha2::{Digest as _, Sha256};

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With its query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn last(&self) -> &str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path().contains(part)
    }

    pub(crate) fn shown(&self) -> Option<&str> {
        self.headers.get("authorization").map(String::as_str)
    }

    /// All values of one name in the query, or in a form.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        let query = self.target.split_once('?').map_or(body.as_str(), |(_, query)| query);
        let url = reqwest::Url::parse(&format!("http://x/?{query}")).unwrap();
        url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    }
}

/// What it is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Only so many bytes of the body are sent.
    pub(crate) breaks_off_at: Option<usize>,
}

impl Answer {
    pub(crate) fn of(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn json(body: &str) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    /// 401 with these challenges, each a header.
    pub(crate) fn challenge(challenges: &[&str]) -> Self {
        let headers = challenges.iter().map(|challenge| ("www-authenticate", (*challenge).to_owned()));
        Self { status: 401, headers: headers.collect(), ..Self::default() }
    }
}

/// The registry, and all that it was asked.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    contents: Arc<Mutex<Contents>>,
}

impl Fake {
    /// Answers as `respond` says, which is given what the registry would say by itself.
    pub(crate) fn start(respond: impl Fn(&Asked, &dyn Fn() -> Answer) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let fake = Self { address, asked: Arc::default(), contents: Arc::default() };
        let (asked, contents, respond) = (fake.asked.clone(), fake.contents.clone(), Arc::new(respond));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, contents, respond) = (asked.clone(), contents.clone(), respond.clone());
                thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    asked.lock().unwrap().push(request.clone());
                    let usual = || contents.lock().unwrap().answer(&request);
                    write(stream, &request, &respond(&request, &usual));
                });
            }
        });
        fake
    }

    /// What it was asked with this method at paths with this part.
    pub(crate) fn asked(&self, method: &str, part: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|request| request.is(method, part)).cloned().collect()
    }

    /// What was pushed under a tag.
    pub(crate) fn manifest(&self, tag: &str) -> Vec<u8> {
        self.contents.lock().unwrap().files[tag].clone()
    }

    pub(crate) fn image(&self) -> String {
        format!("{}/team/hello:v1", self.address)
    }
}

/// What was pushed, by digest and by tag.
#[derive(Default)]
struct Contents {
    files: BTreeMap<String, Vec<u8>>,
}

impl Contents {
    fn answer(&mut self, request: &Asked) -> Answer {
        let (path, last) = (request.path(), request.last());
        let is_upload = path.contains("/blobs/uploads/");
        match request.method.as_str() {
            "POST" if is_upload => {
                Answer { headers: vec![("location", format!("{path}1?_state=a%2Fb"))], ..Answer::of(202) }
            }
            "PUT" if is_upload && request.values("_state") != ["a/b"] => Answer::of(404),
            "PUT" => {
                let digest = format!("sha256:{}", hex(&Sha256::digest(&request.body)));
                if is_upload && request.values("digest") != [digest.as_str()] {
                    return Answer::of(400);
                }
                if !is_upload {
                    self.files.insert(last.to_owned(), request.body.clone());
                }
                self.files.insert(digest, request.body.clone());
                Answer::of(201)
            }
            _ => self.files.get(last).map_or_else(|| Answer::of(404), |file| part(request, file)),
        }
    }
}

/// A file, or what of it is asked for.
fn part(request: &Asked, file: &[u8]) -> Answer {
    let from =
        request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match from {
        None => Answer { body: file.to_vec(), ..Answer::of(200) },
        Some::<usize>(from) => {
            let range = format!("bytes {from}-{}/{}", file.len() - 1, file.len());
            Answer { body: file[from..].to_vec(), headers: vec![("content-range", range)], ..Answer::of(206) }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let line = |reader: &mut BufReader<&TcpStream>| {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line(&mut reader)?;
    let mut words = first.split(' ');
    let mut request = Asked { method: words.next()?.to_owned(), target: words.next()?.to_owned(), ..Asked::default() };
    while let Some(line) = line(&mut reader).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = request.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn write(mut stream: TcpStream, request: &Asked, answer: &Answer) {
    let (status, length) = (answer.status, answer.body.len());
    let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
    if status != 204 {
        head += &format!("content-length: {length}\r\n");
    }
    answer.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    let body = match (request.method.as_str(), status) {
        ("HEAD", _) | (_, 204) => &[],
        _ => &answer.body[..answer.breaks_off_at.unwrap_or(length)],
    };
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(body));
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0; 1]);
}
