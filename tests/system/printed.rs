//! What a process prints.

use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::sampan::PATIENCE;

/// All that a process, and those that it starts, print.
pub(crate) struct Printed {
    text: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Printed {
    /// Of a process whose outputs are pipes.
    pub(crate) fn by(child: &mut Child) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            collect(child.stdout.take().expect("piped"), &text),
            collect(child.stderr.take().expect("piped"), &text),
        ];
        Self { text, readers }
    }

    /// Until now.
    pub(crate) fn text(&self) -> String {
        self.text.lock().expect("no printer panicked").clone()
    }

    /// Until all have ended.
    pub(crate) fn all(&mut self) -> String {
        self.readers.drain(..).for_each(|reader| reader.join().expect("no printer panicked"));
        self.text()
    }

    /// Waits until this is printed. It fails as soon as nobody is left who could.
    pub(crate) fn wait_for(&self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.readers.iter().all(JoinHandle::is_finished);
            let text = self.text();
            if text.contains(wanted) {
                return;
            }
            assert!(!ended, "it ended, and `{wanted}` was never printed:\n{text}");
            assert!(Instant::now() < deadline, "`{wanted}` was never printed:\n{text}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Nothing that somebody would have to look at.
pub(crate) fn assert_clean(who: &str, printed: &str) {
    let worrying = |line: &&str| ["WARN", "ERROR", "error:", "panicked"].iter().any(|word| line.contains(word));
    let worrying: Vec<&str> = printed.lines().filter(worrying).collect();
    assert!(worrying.is_empty(), "{who}: {worrying:?}");
}

fn collect(stream: impl Read + Send + 'static, into: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut output = into.lock().expect("no printer panicked");
            output.push_str(&line);
            output.push('\n');
        }
    })
}

#[test]
#[should_panic(expected = "it ended, and `never` was never printed:\nonce")]
fn what_nobody_can_print_any_more_is_not_waited_for() {
    use std::process::{Command, Stdio};
    let started = Command::new("echo").arg("once").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.expect("echo starts");
    let printed = Printed::by(&mut child);
    child.wait().expect("it ends");
    printed.wait_for("never");
}
