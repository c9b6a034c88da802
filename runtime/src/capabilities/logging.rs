use api::replica::{LogLevel, LogSource};
use wasmtime::{StoreContextMut, component::Linker};

use super::{GuestState, bindings::logging::logging::Level, lifted::Text};

/// Bytes of a message that one call writes. What follows is not looked at.
const MAX_MESSAGE_BYTES: usize = 64 << 10;
/// Bytes of the context that each of its lines begins with.
const MAX_CONTEXT_BYTES: usize = 256;
/// Lines of one call. Those beyond it are counted as dropped.
const MAX_LINES: usize = 1000;

/// `wasi:logging/logging`: lines of the replica's log, with a level. The first is its name with a version, the second is what it had
/// before.
pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    for name in ["wasi:logging/logging@0.1.0-draft", "wasi:logging/logging"] {
        linker.instance(name)?.func_wrap("log", log)?;
    }
    Ok(())
}

type Call = (Level, Text<MAX_CONTEXT_BYTES>, Text<MAX_MESSAGE_BYTES>);

fn log(store: StoreContextMut<'_, GuestState>, (level, context, message): Call) -> wasmtime::Result<()> {
    store.data().turn.within_reach()?;
    let log = &store.data().capabilities.log;
    let source = LogSource::Logging(level_of(level));
    let mark = if context.is_cut { "…" } else { "" };
    let mut lines = message.text.lines();
    for line in lines.by_ref().take(MAX_LINES) {
        let written = log.line_of(source, || match context.text.as_str() {
            "" => line.to_owned(),
            context => format!("{context}{mark}: {line}"),
        });
        if !written {
            break;
        }
    }
    // What is beyond the message's bound was not looked at: it counts as one more.
    log.drop_lines(lines.count() as u64 + u64::from(message.is_cut));
    Ok(())
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
