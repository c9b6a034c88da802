use wasmtime::component::{HasData, Linker};

use super::{GuestState, bindings::config::store};

/// `wasi:config/store`: the replica's environment, by key.
pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, Config>(linker, |state| View(state))
}

struct Config;

impl HasData for Config {
    type Data<'a> = View<'a>;
}

struct View<'a>(&'a mut GuestState);

impl store::Host for View<'_> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, store::Error>> {
        let environment = &self.0.capabilities.environment;
        Ok(Ok(environment.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())))
    }

    async fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, store::Error>> {
        Ok(Ok(self.0.capabilities.environment.clone()))
    }
}
