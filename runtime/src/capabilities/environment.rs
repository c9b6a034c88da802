use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::p2::bindings::cli::environment;

use super::GuestState;

/// `wasi:cli/environment`: the replica's environment, no arguments, no directory.
pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    environment::add_to_linker::<_, Environment>(linker, |state| View(state))
}

struct Environment;

impl HasData for Environment {
    type Data<'a> = View<'a>;
}

struct View<'a>(&'a mut GuestState);

impl environment::Host for View<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        self.0.turn.within_reach()?;
        Ok(self.0.capabilities.environment.clone())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}
