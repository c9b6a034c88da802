//! Opens a browser.

use std::{io, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// What opens a URL on this system.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
/// Whoever has not failed by then has found a browser, and may be it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens a URL in the user's browser; an error says why none was, and what is to be done.
pub(crate) async fn open(url: &str) -> Result<(), String> {
    let mut opener = Command::new(OPENER);
    opener.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C is for the server, not for the browser.
    opener.process_group(0);
    let failed = |why: String| format!("no browser was opened: {why}; open {url} yourself");
    let mut opened = opener.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed(format!("there is no `{OPENER}` here")),
        _ => failed(format!("`{OPENER}` cannot be started: {error}")),
    })?;
    match timeout(PATIENCE, opened.wait()).await {
        Ok(Ok(status)) if !status.success() => Err(failed(format!("`{OPENER}` found none"))),
        _ => Ok(()),
    }
}
