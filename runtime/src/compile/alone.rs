//! What compiles one component: in a process of its own, which is limited in memory and time and reaches nothing, so that a
//! component that is made to break the compiler harms nothing but its own start.

use std::{
    fs::File,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};

use registry_client::inspect;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use super::exchange;
use crate::{
    engine::{self, Code},
    priority, sandbox,
};

/// There is an artifact.
pub(super) const COMPILED: i32 = 0;
/// There is none, and the words in its place say what is wrong with the component.
pub(super) const REFUSED: i32 = 1;
/// The limits were too narrow, or something else came in between.
const FAILED: i32 = 2;

/// What is made of a component, or why it cannot be, for people.
pub(super) type Work = fn(&[u8]) -> Result<Vec<u8>, String>;

/// What one process does, and within which limits.
#[derive(Clone, Copy)]
pub(super) struct Alone {
    pub(super) work: Work,
    pub(super) memory_bytes: u64,
    pub(super) threads: usize,
}

/// Makes an artifact of a component, or writes in its place why it cannot be. Says which it did by a code for this process' end.
///
/// To be called in a process of one thread that has nothing else, and that ends with the code.
pub(super) fn run(alone: Alone, component: &File, artifact: &mut File) -> i32 {
    let done = catch_unwind(AssertUnwindSafe(|| {
        let component = exchange::handed_over(component).ok()?;
        confine(alone.memory_bytes, alone.threads)?;
        let (code, written) = match (alone.work)(component) {
            Ok(code) => (COMPILED, code),
            Err(why) => (REFUSED, why.into_bytes()),
        };
        artifact.write_all(&written).ok()?;
        Some(code)
    }));
    done.ok().flatten().unwrap_or(FAILED)
}

/// Limits this process, and gives up all of the kernel that a compiler does not need.
fn confine(memory_bytes: u64, threads: usize) -> Option<()> {
    let only = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::As, only(memory_bytes)).ok()?;
    // An artifact fits into the memory of what makes it.
    setrlimit(Resource::Fsize, only(memory_bytes)).ok()?;
    setrlimit(Resource::Core, only(0)).ok()?;
    set_parent_process_death_signal(Some(Signal::KILL)).ok()?;
    priority::lower_this_thread();
    // What cannot be given up here, the workers warn of.
    let _ = sandbox::enter_as_compiler();
    // By itself it would look for the number in files.
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().ok()
}

/// What compiles a component with an engine of its own.
pub(super) fn compiles(code: Code) -> Work {
    match code {
        Code::Optimized => |component| compile(component, Code::Optimized),
        Code::Unoptimized => |component| compile(component, Code::Unoptimized),
    }
}

/// The parts of a component, as bytes.
pub(super) fn parts(component: &[u8]) -> Result<Vec<u8>, String> {
    let divided = registry_client::divide(component).ok_or("the component has one part")?;
    Ok(divided.write())
}

fn compile(component: &[u8], code: Code) -> Result<Vec<u8>, String> {
    let engine = engine::compiling(code).map_err(|error| format!("{error:#}"))?;
    compiled(&engine, component)
}

/// What the engine makes of a component, or what is wrong with that, for people.
pub(super) fn compiled(engine: &wasmtime::Engine, component: &[u8]) -> Result<Vec<u8>, String> {
    // It names what is no component far better than the engine does, and refuses what was compiled elsewhere.
    inspect(component).map_err(|error| error.to_string())?;
    engine
        .precompile_component(component)
        .map_err(|error| format!("{error:#}; build it again with a current toolchain"))
}
