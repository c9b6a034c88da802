//! Sampan's own diagnostics: standard error, filtered by `SAMPAN_LOG`.

use tracing_subscriber::EnvFilter;

use crate::{
    screen::colour_is_welcome,
    terminal::{self, Diagnostics, print_error},
};

/// What is shown without `SAMPAN_LOG`. Each failed request to the API is returned to who made it, and told there if it matters:
/// at an end, when the API is gone first, it does not.
const DEFAULT: &str = "warn,kube_client::client::builder=off";

/// Sets it up for the process. A filter that cannot be read is told and the default taken.
pub(crate) fn init() {
    let wanted = std::env::var("SAMPAN_LOG").unwrap_or_else(|_| DEFAULT.to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
        print_error(format_args!("warning: SAMPAN_LOG={wanted} cannot be read ({error}): taking `{DEFAULT}`"));
        EnvFilter::new(DEFAULT)
    });
    let coloured = terminal::is_errors() && colour_is_welcome();
    // A subscriber that is set already stays.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Diagnostics).with_ansi(coloured).try_init();
}
