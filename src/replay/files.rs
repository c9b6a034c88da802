use std::path::{Path, PathBuf};

use anyhow::Context;
use control_plane::replay::Trace;

/// How the files of calls and of run times are called: in samples of the Azure Functions 2019 trace, and in the trace itself.
const COMPANIONS: [(&str, &str); 2] =
    [("-inv", "-run"), ("invocations_per_function_md", "function_durations_percentiles")];

/// Reads a trace, and how long its functions run if that is in another file.
///
/// # Errors
///
/// A file that cannot be read, or a line that is not of its format.
pub(crate) fn read_trace(path: &Path, durations: Option<&Path>) -> anyhow::Result<Trace> {
    let mut trace = Trace::parse(&path.display().to_string(), &read(path)?)?;
    if let Some(durations) = durations {
        trace.add_run_times(&durations.display().to_string(), &read(durations)?)?;
    }
    Ok(trace)
}

/// The file beside a trace that says how long its functions run, if there is one.
pub(crate) fn run_times_beside(trace: &Path) -> Option<PathBuf> {
    let name = trace.file_name()?.to_str()?;
    let (calls, times) = COMPANIONS.into_iter().find(|(calls, _)| name.contains(calls))?;
    Some(trace.with_file_name(name.replacen(calls, times, 1))).filter(|beside| beside.is_file())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
