use std::thread;

use super::{Scaled, apply, client, in_one_process_and_in_several, wait_until_asleep};
use crate::sampan::wait_for;

#[test]
fn a_rollout_of_a_service_at_zero_is_woken_in_the_old_version_or_the_new_and_never_fails() {
    in_one_process_and_in_several(|sampan| {
        let scaled = Scaled::default();
        scaled.asleep(sampan);
        for version in 0..4 {
            let manifest = scaled.manifest().replace(
                "sampan.dev/concurrency",
                &format!("example.com/version: \"{version}\", sampan.dev/concurrency"),
            );
            thread::scope(|scope| {
                let asked = scope.spawn(|| {
                    let client = client(sampan);
                    for _ in 0..40 {
                        let answer = client.get("/env");
                        assert_eq!(answer.status, 200, "{answer:?}");
                    }
                });
                apply(sampan, &manifest);
                asked.join().expect("every request is answered");
            });
            wait_until_asleep(sampan, "probe");
        }
        assert_eq!(client(sampan).get("/env").status, 200);
    });
}

#[test]
fn who_waits_for_an_image_that_cannot_be_compiled_is_told_why_at_once() {
    in_one_process_and_in_several(|sampan| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("broken.wasm");
        // A component that asks for what nobody offers.
        let broken = wat_component();
        std::fs::write(&file, broken).expect("a file");
        sampan.cli_ok(&["build", super::path(&file), "-t", "broken:test"]);
        Scaled { image: "broken:test", ..Scaled::default() }.apply(sampan);
        let answer = wait_for("the reason is known", || {
            let answer = client(sampan).get("/");
            answer.body.contains("nobody-offers").then_some(answer)
        });
        assert_eq!(answer.status, 503);
        assert!(answer.retry_after.is_some(), "{answer:?}");
        let began = std::time::Instant::now();
        let again = client(sampan).get("/");
        assert_eq!(again.status, 503, "{again:?}");
        assert!(began.elapsed() < std::time::Duration::from_secs(4), "waiting for it is in vain, and not done");
    });
}

/// The smallest component that imports an interface of its own and exports nothing.
fn wat_component() -> Vec<u8> {
    // (component (import "nobody-offers:this/at-all" (instance)))
    let name = b"nobody-offers:this/at-all";
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // A type section: an instance type with nothing in it.
    bytes.extend([7, 3, 1, 0x42, 0]);
    // An import section: one instance of that type.
    bytes.extend([10, name.len() as u8 + 5, 1, 0, name.len() as u8]);
    bytes.extend(name);
    bytes.extend([5, 0]);
    bytes
}
