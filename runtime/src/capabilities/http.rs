//! `wasi:http`, where wasmtime's own holds what a guest hands over without a bound, or without counting it.

use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource},
};
use wasmtime_wasi_http::{
    FieldMap, WasiHttpView,
    p2::{
        HeaderResult, HttpResult,
        bindings::http::{
            outgoing_handler,
            types::{self, HeaderError, Method, RequestOptions, Scheme},
        },
        types::{HostFutureIncomingResponse, HostOutgoingRequest},
    },
};

use super::{GuestState, lifted::Text};

/// Bytes of a path with its query: as many as a URL has at most.
const MAX_PATH_BYTES: usize = u16::MAX as usize - 1;
const MAX_AUTHORITY_BYTES: usize = 1 << 10;
/// Bytes of a method or a scheme that is none of the usual.
const MAX_TOKEN_BYTES: usize = 256;
/// What a field takes beside its name and value.
const FIELD_BYTES: u64 = 80;
/// What a request that was sent takes of the host at least, until its answer is dropped: its head and its answer's, a task, the
/// buffers of a connection.
const REQUEST_BYTES: u64 = 64 << 10;

type Store<'a> = StoreContextMut<'a, GuestState>;
type Fields = Resource<FieldMap>;
type OutgoingRequest = Resource<HostOutgoingRequest>;
type Told<T> = wasmtime::Result<(Result<T, HeaderError>,)>;
type Taken = wasmtime::Result<(Result<(), ()>,)>;

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:http/types@0.2.12")?;
    types.func_wrap("[static]fields.from-list", fields_of_list)?;
    types.func_wrap("[method]fields.append", append)?;
    types.func_wrap("[method]fields.set", set)?;
    types.func_wrap("[method]fields.clone", clone)?;
    types.func_wrap("[method]outgoing-request.set-method", set_method)?;
    types.func_wrap("[method]outgoing-request.set-scheme", set_scheme)?;
    types.func_wrap("[method]outgoing-request.set-authority", set_authority)?;
    types.func_wrap("[method]outgoing-request.set-path-with-query", set_path)?;
    linker.instance("wasi:http/outgoing-handler@0.2.12")?.func_wrap("handle", handle)
}

fn fields_of_list(mut store: Store<'_>, (entries,): (Vec<(String, Vec<u8>)>,)) -> Told<Fields> {
    let state = store.data_mut();
    state.turn.within_reach()?;
    let bytes = entries.iter().map(|(name, value)| field_bytes(name.len(), value.len())).sum();
    let made = types::HostFields::from_list(&mut state.http(), entries);
    told(state, made, bytes)
}

fn append(mut store: Store<'_>, (fields, name, value): (Fields, String, Vec<u8>)) -> Told<()> {
    let state = store.data_mut();
    state.turn.within_reach()?;
    let bytes = field_bytes(name.len(), value.len());
    let appended = types::HostFields::append(&mut state.http(), fields, name, value);
    told(state, appended, bytes)
}

fn set(mut store: Store<'_>, (fields, name, values): (Fields, String, Vec<Vec<u8>>)) -> Told<()> {
    let state = store.data_mut();
    state.turn.within_reach()?;
    let bytes = values.iter().map(|value| field_bytes(name.len(), value.len())).sum();
    let set = types::HostFields::set(&mut state.http(), fields, name, values);
    told(state, set, bytes)
}

/// Counted as a whole: it shares what it holds only until one of both is changed.
fn clone(mut store: Store<'_>, (fields,): (Fields,)) -> wasmtime::Result<(Fields,)> {
    let state = store.data_mut();
    state.turn.within_reach()?;
    let held = state.table.get(&fields)?;
    let bytes = held.iter().map(|(name, value)| field_bytes(name.as_str().len(), value.len())).sum();
    state.memory.charge_until_the_end(bytes)?;
    Ok((types::HostFields::clone(&mut state.http(), fields)?,))
}

fn field_bytes(name: usize, value: usize) -> u64 {
    name as u64 + value as u64 + FIELD_BYTES
}

/// What was taken is counted.
fn told<T>(state: &mut GuestState, result: HeaderResult<T>, bytes: u64) -> Told<T> {
    Ok((match result {
        Ok(value) => {
            state.memory.charge_until_the_end(bytes)?;
            Ok(value)
        }
        Err(error) => Err(types::Host::convert_header_error(&mut state.http(), error)?),
    },))
}

fn set_method(mut store: Store<'_>, (request, method): (OutgoingRequest, Method)) -> Taken {
    if matches!(&method, Method::Other(name) if name.len() > MAX_TOKEN_BYTES) {
        return Ok((Err(()),));
    }
    Ok((types::HostOutgoingRequest::set_method(&mut store.data_mut().http(), request, method)?,))
}

fn set_scheme(mut store: Store<'_>, (request, scheme): (OutgoingRequest, Option<Scheme>)) -> Taken {
    if matches!(&scheme, Some(Scheme::Other(name)) if name.len() > MAX_TOKEN_BYTES) {
        return Ok((Err(()),));
    }
    Ok((types::HostOutgoingRequest::set_scheme(&mut store.data_mut().http(), request, scheme)?,))
}

fn set_authority(
    mut store: Store<'_>,
    (request, authority): (OutgoingRequest, Option<Text<MAX_AUTHORITY_BYTES>>),
) -> Taken {
    let state = store.data_mut();
    let Some(authority) = whole(state, authority)? else { return Ok((Err(()),)) };
    Ok((types::HostOutgoingRequest::set_authority(&mut state.http(), request, authority)?,))
}

fn set_path(mut store: Store<'_>, (request, path): (OutgoingRequest, Option<Text<MAX_PATH_BYTES>>)) -> Taken {
    let state = store.data_mut();
    let Some(path) = whole(state, path)? else { return Ok((Err(()),)) };
    Ok((types::HostOutgoingRequest::set_path_with_query(&mut state.http(), request, path)?,))
}

/// A text within its bound, counted; `None` if it is longer.
fn whole<const MAX: usize>(
    state: &mut GuestState,
    text: Option<Text<MAX>>,
) -> wasmtime::Result<Option<Option<String>>> {
    state.turn.within_reach()?;
    let Some(text) = text else { return Ok(Some(None)) };
    if text.is_cut {
        return Ok(None);
    }
    state.memory.charge_until_the_end(text.text.len() as u64)?;
    Ok(Some(Some(text.text)))
}

type Sent = wasmtime::Result<(Result<Resource<HostFutureIncomingResponse>, types::ErrorCode>,)>;

fn handle(mut store: Store<'_>, (request, options): (OutgoingRequest, Option<Resource<RequestOptions>>)) -> Sent {
    let state = store.data_mut();
    state.turn.within_reach()?;
    state.outbound.charge = Some(state.memory.charge(REQUEST_BYTES)?);
    let sent: HttpResult<_> = outgoing_handler::Host::handle(&mut state.http(), request, options);
    // One that was refused has not taken it.
    state.outbound.charge = None;
    Ok((match sent {
        Ok(answer) => Ok(answer),
        Err(error) => Err(types::Host::convert_error_code(&mut state.http(), error)?),
    },))
}
