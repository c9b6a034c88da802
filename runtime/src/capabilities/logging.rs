use api::replica::{LogLevel, LogSource};
use wasmtime::{
    StoreContextMut,
    component::{HasData, Linker},
};

use super::{
    GuestState,
    bindings::logging::logging::{self, Level},
};

/// `wasi:logging/logging`: lines of the replica's log, with a level.
pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    logging::add_to_linker::<_, Logging>(linker, |state| View(state))?;
    // The same, before it had a version.
    linker.instance("wasi:logging/logging")?.func_wrap_async(
        "log",
        |mut store: StoreContextMut<'_, GuestState>, (level, context, message): (Level, String, String)| {
            Box::new(async move { logging::Host::log(&mut View(store.data_mut()), level, context, message).await })
        },
    )
}

struct Logging;

impl HasData for Logging {
    type Data<'a> = View<'a>;
}

struct View<'a>(&'a mut GuestState);

impl logging::Host for View<'_> {
    async fn log(&mut self, level: Level, context: String, message: String) -> wasmtime::Result<()> {
        let log = &self.0.capabilities.log;
        let source = LogSource::Logging(level_of(level));
        for line in message.lines() {
            log.line(source, if context.is_empty() { line.to_owned() } else { format!("{context}: {line}") });
        }
        Ok(())
    }
}

fn level_of(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
        Level::Critical => LogLevel::Critical,
    }
}
