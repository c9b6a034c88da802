//! A worker's process in its sandbox: what is closed to it, and that what it needs is not.
//!
//! Each test runs in a process of its own, on its main thread, which enters the sandbox first.

#![allow(clippy::unwrap_used, reason = "tests")]

mod closed;
mod compiling;
#[path = "../replicas/fakes.rs"]
mod fakes;
#[allow(dead_code, reason = "the other suite uses the rest")]
#[path = "../replicas/fleet.rs"]
mod fleet;
mod inside;
mod open;

use std::{
    env, fs,
    process::{Command, ExitCode},
};

use inside::{Inside, Test};
use runtime::Network;

const TESTS: &[(&str, Test)] = &[
    ("a_worker_reads_and_changes_what_it_was_given_and_no_other_file", Test::Inside(closed::files)),
    ("a_worker_starts_no_program_and_no_process", Test::Inside(closed::programs)),
    ("a_worker_and_its_threads_have_no_privileges", Test::Inside(closed::privileges)),
    ("a_worker_makes_no_sockets_of_other_families_and_signals_nobody", Test::Inside(closed::kernel)),
    ("threads_connections_and_names_work_in_the_sandbox", Test::Inside(open::basics)),
    ("a_worker_that_asks_for_connections_has_no_network_of_its_own", Test::Asking(closed::network)),
    ("a_connection_that_was_passed_to_a_worker_is_turned_nowhere_else", Test::Asking(closed::passed)),
    ("a_guest_answers_in_a_worker_without_a_network", Test::Asking(open::guest)),
    ("a_guest_is_compiled_by_the_server_and_answers_in_the_sandbox", Test::Inside(open::guest)),
    ("a_guest_in_a_sandboxed_worker_reaches_no_address_that_no_grant_names", Test::Inside(open::outbound)),
    ("a_compile_beyond_its_limits_says_so_and_the_next_one_is_served", Test::Inside(compiling::limits)),
    ("when_the_compile_server_has_ended_compiles_say_so", Test::Inside(compiling::dead_server)),
    ("a_component_that_has_taken_over_its_compiler_reaches_nothing", Test::Outside(compiling::escapes_nowhere)),
    ("the_compile_server_divides_components_too", Test::Outside(compiling::divides)),
    ("the_compile_server_ends_with_its_worker", Test::Outside(compiling::ends_with_its_worker)),
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["compile-server", memory_bytes] => {
            runtime::serve_compiles(runtime::Code::Optimized, memory_bytes.parse().unwrap(), inside::COMPILE_TIMEOUT)
                .unwrap();
            ExitCode::SUCCESS
        }
        ["hostile-compile-server"] => {
            runtime::serve_instead(compiling::escape, 1 << 30, inside::COMPILE_TIMEOUT).unwrap();
            ExitCode::SUCCESS
        }
        ["abandon"] => compiling::abandon(),
        ["inside", name, dir] => {
            let (_, test) = TESTS.iter().find(|(known, _)| known == name).unwrap();
            match test {
                Test::Inside(test) => Inside::enter(dir.as_ref(), Network::Own).run(test),
                Test::Asking(test) => Inside::enter(dir.as_ref(), Network::Asked).run(test),
                Test::Outside(_) => panic!("{name} is for no sandbox"),
            }
            ExitCode::SUCCESS
        }
        args => run(args),
    }
}

/// As much of the usual test harness as cargo and nextest need.
fn run(args: &[&str]) -> ExitCode {
    if args.contains(&"--list") {
        let names = TESTS.iter().filter(|_| !args.contains(&"--ignored"));
        names.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in
        TESTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(**part)))
    {
        let passed = passes(name, test);
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(name: &str, test: &Test) -> bool {
    if let Test::Outside(test) = test {
        return std::panic::catch_unwind(test).is_ok();
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["given", "own", "other"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("file"), name).unwrap();
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["inside", name]).arg(dir.path()).env("TMPDIR", dir.path().join("own"));
    child.status().unwrap().success()
}
