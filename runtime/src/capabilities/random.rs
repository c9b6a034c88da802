use wasmtime::{StoreContextMut, bail, component::Linker};
use wasmtime_wasi::{
    WasiView,
    p2::bindings::random::{insecure, random},
};

use super::GuestState;

/// Bytes of one call: as many as interfaces of other systems give at once.
const MAX_BYTES: u64 = 64 << 10;

/// `wasi:random`, bounded in what one call asks for.
pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.instance("wasi:random/random@0.2.12")?.func_wrap(
        "get-random-bytes",
        |mut store: StoreContextMut<'_, GuestState>, (len,): (u64,)| {
            let state = store.data_mut();
            within(state, len)?;
            Ok((random::Host::get_random_bytes(state.ctx().ctx.random(), len)?,))
        },
    )?;
    linker.instance("wasi:random/insecure@0.2.12")?.func_wrap(
        "get-insecure-random-bytes",
        |mut store: StoreContextMut<'_, GuestState>, (len,): (u64,)| {
            let state = store.data_mut();
            within(state, len)?;
            Ok((insecure::Host::get_insecure_random_bytes(state.ctx().ctx.random(), len)?,))
        },
    )
}

fn within(state: &GuestState, len: u64) -> wasmtime::Result<()> {
    if len > MAX_BYTES {
        bail!("it asked for {len} random bytes in one call: one gives at most {MAX_BYTES}, and there may be many");
    }
    state.turn.within_reach()
}
