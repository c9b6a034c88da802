//! `wasi:io`, where wasmtime's own has no bound, or holds what a guest writes without counting it.

use wasmtime::{
    StoreContextMut, bail,
    component::{Linker, Resource, WasmList},
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, StreamResult,
    bindings::io::{poll, streams},
};

use super::GuestState;

/// Pollables that are waited for in one call.
const MAX_POLLABLES: usize = 1024;
/// What the host holds of each of them while it waits: a future in a box, and often a timer.
const POLLED_BYTES: u64 = 512;
/// Bytes that a call writes which waits until they are taken, as the interface says.
const BLOCKING_WRITE_BYTES: u64 = 4096;
/// Bytes of what is read that are given to a guest in one call.
const READ_BYTES: u64 = 1 << 20;

type Store<'a> = StoreContextMut<'a, GuestState>;
type Told<T> = wasmtime::Result<(Result<T, streams::StreamError>,)>;

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker
        .instance("wasi:io/poll@0.2.12")?
        .func_wrap_async("poll", |store, (pollables,)| Box::new(async move { poll_all(store, &pollables).await }))?;
    let mut streams = linker.instance("wasi:io/streams@0.2.12")?;
    streams.func_wrap("[method]input-stream.read", read)?;
    streams.func_wrap_async("[method]input-stream.blocking-read", |store, (from, len)| {
        Box::new(blocking_read(store, from, len))
    })?;
    streams.func_wrap("[method]output-stream.write", write)?;
    streams.func_wrap_async("[method]output-stream.blocking-write-and-flush", |store, (to, bytes)| {
        Box::new(blocking_write(store, to, bytes))
    })?;
    streams.func_wrap("[method]output-stream.write-zeroes", write_zeroes)?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-write-zeroes-and-flush",
        |store, (to, len): (_, u64)| {
            // Beyond what is allowed it is refused for its length alone.
            Box::new(blocking_write(store, to, vec![0; len.min(BLOCKING_WRITE_BYTES + 1) as usize]))
        },
    )?;
    streams.func_wrap("[method]output-stream.splice", splice)?;
    streams.func_wrap_async("[method]output-stream.blocking-splice", |store, (to, from, len)| {
        Box::new(blocking_splice(store, to, from, len))
    })
}

async fn poll_all(mut store: Store<'_>, pollables: &WasmList<Resource<DynPollable>>) -> wasmtime::Result<(Vec<u32>,)> {
    let count = pollables.len();
    if count > MAX_POLLABLES {
        bail!("it waited for {count} pollables in one call: one takes at most {MAX_POLLABLES}");
    }
    let pollables = pollables.iter(&mut store)?.collect::<Result<Vec<_>, _>>()?;
    let state = store.data_mut();
    state.turn.give_way().await?;
    let waiting = state.memory.held_while(count as u64 * POLLED_BYTES)?;
    let ready = poll::Host::poll(&mut state.table, pollables).await?;
    drop(waiting);
    Ok((ready,))
}

fn read(mut store: Store<'_>, (from, len): (Resource<DynInputStream>, u64)) -> Told<Vec<u8>> {
    let state = store.data_mut();
    state.turn.within_reach()?;
    let read = streams::HostInputStream::read(&mut state.table, from, len.min(READ_BYTES));
    told(state, read)
}

async fn blocking_read(mut store: Store<'_>, from: Resource<DynInputStream>, len: u64) -> Told<Vec<u8>> {
    let state = store.data_mut();
    state.turn.give_way().await?;
    let read = streams::HostInputStream::blocking_read(&mut state.table, from, len.min(READ_BYTES)).await;
    told(state, read)
}

fn write(mut store: Store<'_>, (to, bytes): (Resource<DynOutputStream>, Vec<u8>)) -> Told<()> {
    let state = store.data_mut();
    state.turn.within_reach()?;
    let bytes = state.memory.written(bytes)?;
    let written = state.table.get_mut(&to)?.write(bytes);
    told(state, written)
}

async fn blocking_write(mut store: Store<'_>, to: Resource<DynOutputStream>, bytes: Vec<u8>) -> Told<()> {
    let state = store.data_mut();
    if bytes.len() as u64 > BLOCKING_WRITE_BYTES {
        bail!("it wrote more than {BLOCKING_WRITE_BYTES} bytes in one call that waits until they are taken");
    }
    state.turn.give_way().await?;
    let bytes = state.memory.written(bytes)?;
    let written = state.table.get_mut(&to)?.blocking_write_and_flush(bytes).await;
    told(state, written)
}

fn write_zeroes(mut store: Store<'_>, (to, len): (Resource<DynOutputStream>, u64)) -> Told<()> {
    let state = store.data_mut();
    state.turn.within_reach()?;
    let allowed = match state.table.get_mut(&to)?.check_write() {
        Ok(allowed) => allowed,
        Err(error) => return told(state, Err(error)),
    };
    if len > allowed as u64 {
        bail!("it wrote {len} zeroes at once, where `check-write` allows {allowed}");
    }
    let bytes = state.memory.written(vec![0; len as usize])?;
    let written = state.table.get_mut(&to)?.write(bytes);
    told(state, written)
}

fn splice(
    mut store: Store<'_>,
    (to, from, len): (Resource<DynOutputStream>, Resource<DynInputStream>, u64),
) -> Told<u64> {
    let state = store.data_mut();
    state.turn.within_reach()?;
    let spliced = splice_now(state, &to, &from, len)?;
    told(state, spliced)
}

/// The outer error ends the guest, the inner one is its to see.
fn splice_now(
    state: &mut GuestState,
    to: &Resource<DynOutputStream>,
    from: &Resource<DynInputStream>,
    len: u64,
) -> wasmtime::Result<StreamResult<u64>> {
    let room = match state.table.get_mut(to)?.check_write() {
        Ok(room) => room.min(usize::try_from(len).unwrap_or(usize::MAX)),
        Err(error) => return Ok(Err(error)),
    };
    if room == 0 {
        return Ok(Ok(0));
    }
    let bytes = match state.table.get_mut(from)?.read(room) {
        Ok(bytes) if bytes.is_empty() => return Ok(Ok(0)),
        Ok(bytes) => state.memory.passed_on(bytes)?,
        Err(error) => return Ok(Err(error)),
    };
    let count = bytes.len() as u64;
    Ok(state.table.get_mut(to)?.write(bytes).map(|()| count))
}

async fn blocking_splice(
    mut store: Store<'_>,
    to: Resource<DynOutputStream>,
    from: Resource<DynInputStream>,
    len: u64,
) -> Told<u64> {
    let state = store.data_mut();
    state.turn.give_way().await?;
    if let Err(error) = state.table.get_mut(&to)?.write_ready().await {
        return told(state, Err(error));
    }
    if len > 0 {
        state.table.get_mut(&from)?.ready().await;
    }
    let spliced = match splice_now(state, &to, &from, len)? {
        Ok(count) => match state.table.get_mut(&to)?.flush() {
            Ok(()) => state.table.get_mut(&to)?.write_ready().await.map(|_| count),
            Err(error) => Err(error),
        },
        error => error,
    };
    told(state, spliced)
}

fn told<T>(state: &mut GuestState, result: StreamResult<T>) -> Told<T> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(streams::Host::convert_stream_error(&mut state.table, error)?),
    },))
}
