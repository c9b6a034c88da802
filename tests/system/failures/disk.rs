//! Disks that are full, and servers that are killed while they write.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use super::{
    HOST, assert_none_failed, deploy,
    load::{Kind, Load},
};
use crate::{
    client::Client,
    kubectl::deploy_probe,
    sampan::{Role, Sampan, command, wait_for},
};

/// Requests a second.
const RATE: f64 = 100.0;
/// What the disk holds.
const DISK: &str = "size=96m";
/// How often the server is killed.
const KILLS: usize = 20;
/// Writers at the same time.
const WRITERS: usize = 4;

/// A small disk of its own.
struct Disk(PathBuf);

impl Disk {
    /// `None`, and why on standard error, where this user may not mount one.
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at)),
            other => {
                eprintln!("not tested here: a tmpfs cannot be mounted: {other:?}");
                None
            }
        }
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// To the last byte.
    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("a file");
        let mut piece = vec![0; 1 << 20];
        while !piece.is_empty() {
            if ballast.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).expect("it was full");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Guests' writes, one after the other by each writer: what was acknowledged of them, and how often one was not.
struct Writers {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    written: Arc<Mutex<Written>>,
}

#[derive(Debug, Default)]
struct Written {
    acknowledged: BTreeMap<String, String>,
    refused: usize,
}

impl Writers {
    /// `prefix` is of the keys, so that no two writers have the same ones.
    fn start(address: &str, prefix: &str) -> Self {
        let (over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Written::default())));
        let threads = (0..WRITERS).map(|writer| {
            let (over, written) = (over.clone(), written.clone());
            let (client, prefix) = (Client::new(address, Some(HOST)), format!("{prefix}-{writer}"));
            thread::spawn(move || {
                for number in 0.. {
                    if over.load(Relaxed) {
                        return;
                    }
                    let (key, value) = (format!("{prefix}-{number}"), format!("{number} ").repeat(2000));
                    let answer = client.try_put_text(&format!("/kv/default/{key}"), &value);
                    let mut written = written.lock().expect("no writer panicked");
                    if answer.is_ok_and(|answer| answer.status == 200) {
                        written.acknowledged.insert(key, value);
                    } else {
                        written.refused += 1;
                    }
                }
            })
        });
        Self { threads: threads.collect(), over, written }
    }

    fn wait_for(&self, what: &str, so: impl Fn(&Written) -> bool) {
        wait_for(what, || so(&self.written.lock().expect("no writer panicked")).then_some(()));
    }

    fn stop(self) -> BTreeMap<String, String> {
        self.over.store(true, Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("no writer panicked"));
        std::mem::take(&mut self.written.lock().expect("no writer panicked").acknowledged)
    }
}

fn assert_all_are_there(sampan: &Sampan, acknowledged: &BTreeMap<String, String>) {
    let client = Client::new(&sampan.http, Some(HOST));
    wait_for("the guest answers", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
    for (key, value) in acknowledged {
        let answer = client.get(&format!("/kv/default/{key}"));
        assert!(answer.status == 200 && answer.body == *value, "{key}: {}", answer.status);
    }
}

/// Stores an object over the API. What was printed, if it was refused.
fn store_object(sampan: &Sampan, folder: &Path, name: &str) -> Result<(), String> {
    let data = "x".repeat(200_000);
    let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  text: {data}\n");
    let manifest = folder.join("object.yaml");
    fs::write(&manifest, text).expect("a manifest");
    let output = sampan.cli(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn while_the_disk_is_full_requests_go_on_and_no_write_that_was_acknowledged_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = Disk::mount(folder.path().join("disk")) else { return };
    let data_dir = disk.0.join("data");
    let sampan = Sampan::server(&data_dir, 2);
    deploy(&sampan, 2);
    let load = Load::start(&sampan.http, HOST, RATE, &[Kind::Get, Kind::Put]);
    let writers = Writers::start(&sampan.http, "before");
    writers.wait_for("guests write", |written| written.acknowledged.len() > 20);
    disk.fill();
    writers.wait_for("a write is refused", |written| written.refused > 0);
    let mut objects = Vec::new();
    let why = wait_for("an object is refused", || {
        let name = format!("object-{}", objects.len());
        match store_object(&sampan, folder.path(), &name) {
            Ok(()) => {
                objects.push(name);
                None
            }
            Err(why) => Some(why),
        }
    });
    assert!(why.contains("free some space") || why.contains("No space left"), "{why}");
    disk.free();
    let until_now = writers.written.lock().expect("no writer panicked").acknowledged.len();
    writers.wait_for("guests write again", |written| written.acknowledged.len() > until_now + 20);
    wait_for("objects are stored again", || store_object(&sampan, folder.path(), "after").ok());
    let mut acknowledged = writers.stop();
    assert_none_failed(&load.stop());

    // Killed while it is full, it starts again, or says what to do.
    let writers = Writers::start(&sampan.http, "again");
    disk.fill();
    writers.wait_for("a write is refused", |written| written.refused > 0);
    sampan.kill();
    acknowledged.extend(writers.stop());
    // Whether it needs room to start depends on how much its files have kept of what was written before.
    let mut again = command(&["up", "--http", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data-dir"]);
    again.arg(&data_dir);
    let again = Role::start(again);
    wait_for("it starts, or says what to do", || {
        let said = again.output();
        (said.contains("Ctrl-C ends") || said.contains("space")).then_some(())
    });
    again.kill();
    disk.free();
    let sampan = Sampan::server(&data_dir, 2);
    assert_all_are_there(&sampan, &acknowledged);
    let listed = sampan.cli_ok(&["get", "configmaps"]);
    objects.iter().chain([&"after".to_owned()]).for_each(|name| assert!(listed.contains(name), "{name}: {listed}"));
}

#[test]
fn a_server_that_is_killed_again_and_again_while_it_writes_starts_by_itself_and_has_all_that_it_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let mut sampan = Sampan::up(&data_dir);
    deploy_probe(&sampan);
    let mut acknowledged = BTreeMap::new();
    for kill in 0..KILLS {
        assert_all_are_there(&sampan, &acknowledged);
        let writers = Writers::start(&sampan.http, &kill.to_string());
        // Some at once, some after many writes.
        let enough = kill * 7 % 40;
        writers.wait_for("guests write", |written| written.acknowledged.len() >= enough);
        let stored = store_object(&sampan, folder.path(), &format!("object-{kill}"));
        sampan.kill();
        acknowledged = writers.stop();
        sampan = Sampan::up(&data_dir);
        let listed = sampan.cli_ok(&["get", "configmaps"]);
        stored.expect("nothing was wrong with it");
        assert!(listed.contains(&format!("object-{kill}")), "{listed}");
    }
    assert_all_are_there(&sampan, &acknowledged);
}
