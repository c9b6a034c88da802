//! Sends requests, one to each of many hosts, for figures: `ask ADDRESS HOSTS COUNT CONNECTIONS PER_SECOND [AFTER FACTOR]`.
//!
//! `HOSTS` has a `{}` for the number of the host, and may end with a path. With `PER_SECOND` above zero the loop is open:
//! requests are due at their times whether or not earlier ones have been answered, and latency counts from then. With a step,
//! after so many requests the others come so many times faster. It prints one line of JSON, times in microseconds; with a step
//! also when each request was due and how long it took.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a program for figures")]

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

struct Plan {
    address: SocketAddr,
    hosts: String,
    count: u64,
    per_second: f64,
    /// After so many requests, so many times faster.
    step: Option<(u64, f64)>,
    next: AtomicU64,
    began: Instant,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, hosts, count, connections, per_second, step @ ..] = args.as_slice() else {
        panic!("usage: ask ADDRESS HOSTS COUNT CONNECTIONS PER_SECOND [AFTER FACTOR]");
    };
    let plan = Arc::new(Plan {
        address: address.parse().unwrap(),
        hosts: hosts.clone(),
        count: count.parse().unwrap(),
        per_second: per_second.parse().unwrap(),
        step: match step {
            [after, factor] => Some((after.parse().unwrap(), factor.parse().unwrap())),
            _ => None,
        },
        next: AtomicU64::new(0),
        began: Instant::now(),
    });
    let callers: Vec<_> = (0..connections.parse::<u32>().unwrap())
        .map(|_| {
            let plan = plan.clone();
            thread::spawn(move || plan.call())
        })
        .collect();
    let mut answers: Vec<Answer> = callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
    let seconds = plan.began.elapsed().as_secs_f64();
    answers.sort_by_key(|answer| answer.due);
    let each: Vec<String> = answers.iter().map(|answer| format!("[{}, {}]", answer.due, answer.micros)).collect();
    answers.sort_by_key(|answer| answer.micros);
    let failed = answers.iter().filter(|answer| answer.status != 200).count();
    let share = |share: usize| answers[(answers.len() - 1) * share / 1000].micros;
    let each = plan.step.map_or_else(String::new, |_| each.join(", "));
    println!(
        "{{\"seconds\": {seconds:.6}, \"failed\": {failed}, \"p50\": {}, \"p99\": {}, \"max\": {}, \"each\": [{each}]}}",
        share(500),
        share(990),
        share(1000)
    );
}

/// The status of a request whose connection broke.
const NO_ANSWER: u16 = 0;

struct Answer {
    status: u16,
    due: u128,
    micros: u128,
}

impl Plan {
    fn call(&self) -> Vec<Answer> {
        let (mut connection, mut answers) = (None, Vec::new());
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            if number >= self.count {
                return answers;
            }
            let mut due = Instant::now();
            if self.per_second > 0.0 {
                due = self.began + self.due(number);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let url = self.hosts.replace("{}", &number.to_string());
            let (host, path) = url.split_once('/').unwrap_or((&url, ""));
            let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let status = self.exchange(&mut connection, &head).unwrap_or_else(|_| {
                connection = None;
                NO_ANSWER
            });
            let micros = due.elapsed().as_micros();
            answers.push(Answer { status, due: due.saturating_duration_since(self.began).as_micros(), micros });
        }
    }

    /// Asks on the connection that is there, or on a new one.
    fn exchange(&self, connection: &mut Option<BufReader<TcpStream>>, head: &str) -> io::Result<u16> {
        let stream = match connection {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                connection.insert(BufReader::new(stream))
            }
        };
        stream.get_mut().write_all(head.as_bytes())?;
        read_answer(stream)
    }

    /// How long after the begin a request is due.
    fn due(&self, number: u64) -> Duration {
        let (slow, factor) = self.step.unwrap_or((u64::MAX, 1.0));
        let faster = number.saturating_sub(slow) as f64 / factor;
        Duration::from_secs_f64((number.min(slow) as f64 + faster) / self.per_second)
    }
}

/// Reads an answer whose length is known, or which is in chunks, and tells its status.
fn read_answer(reader: &mut impl BufRead) -> io::Result<u16> {
    let mut line = String::new();
    let mut read_line = |reader: &mut dyn BufRead| {
        line.clear();
        reader.read_line(&mut line)?;
        io::Result::Ok(line.trim_end().to_ascii_lowercase())
    };
    let broken = |_| io::Error::from(io::ErrorKind::InvalidData);
    let status = read_line(reader)?.split(' ').nth(1).unwrap_or_default().parse().map_err(broken)?;
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = read_line(reader)?;
        match header.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("transfer-encoding", value)) => chunked = value == "chunked",
            Some(_) => {}
            None => break,
        }
    }
    while chunked {
        let size = usize::from_str_radix(&read_line(reader)?, 16).map_err(broken)?;
        skip(reader, size + 2)?;
        chunked = size > 0;
    }
    skip(reader, length)?;
    Ok(status)
}

fn skip(reader: &mut impl BufRead, bytes: usize) -> io::Result<()> {
    let mut rest = vec![0; bytes];
    reader.read_exact(&mut rest)
}
