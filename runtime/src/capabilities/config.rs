use wasmtime::{
    StoreContextMut,
    component::{HasData, Linker},
};

use super::{GuestState, bindings::config::store};

/// `wasi:config/store`: the replica's environment, by key.
pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, Config>(linker, |state| View(state))?;
    DRAFTS.iter().try_for_each(|draft| link_draft(linker, draft))
}

/// Earlier names of the same functions. Types have names of their own there, which do not matter.
const DRAFTS: [&str; 3] =
    ["wasi:config/store@0.2.0-draft", "wasi:config/runtime@0.2.0-draft", "wasi:config/runtime@0.2.0-rc.1"];

fn link_draft(linker: &mut Linker<GuestState>, draft: &str) -> wasmtime::Result<()> {
    let mut instance = linker.instance(draft)?;
    instance.func_wrap_async("get", |mut store: StoreContextMut<'_, GuestState>, (key,): (String,)| {
        Box::new(async move { Ok((store::Host::get(&mut View(store.data_mut()), key).await?,)) })
    })?;
    instance.func_wrap_async("get-all", |mut store: StoreContextMut<'_, GuestState>, (): ()| {
        Box::new(async move { Ok((store::Host::get_all(&mut View(store.data_mut())).await?,)) })
    })
}

struct Config;

impl HasData for Config {
    type Data<'a> = View<'a>;
}

struct View<'a>(&'a mut GuestState);

impl store::Host for View<'_> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, store::Error>> {
        // In the order of the names, as the spec has them.
        let environment = &self.0.capabilities.environment;
        let found = environment.binary_search_by(|(name, _)| name.as_str().cmp(&key));
        Ok(Ok(found.ok().map(|at| environment[at].1.clone())))
    }

    async fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, store::Error>> {
        self.0.turn.within_reach()?;
        Ok(Ok(self.0.capabilities.environment.clone()))
    }
}
