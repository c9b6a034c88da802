use std::{io, thread};

/// How a role starts its threads that serve: by name, with what each does. A thread has the priority of who starts it, so that this is
/// not for a role to decide, which may itself run where the priority is low.
pub type StartThread = fn(name: String, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// Starts it from the calling thread.
pub fn start_thread(name: String, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(work).map(drop)
}
