use std::sync::Arc;

use api::Body;
use http::Request;
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi_http::{
    WasiHttpView,
    p2::{
        bindings::{
            Proxy, ProxyPre,
            http::types::{ErrorCode, Scheme},
        },
        body::HyperOutgoingBody,
    },
};

use super::{
    MemoryAccount, Replica,
    turn::{FIRST_TICKS, Turn},
};
use crate::{
    capabilities::{Cause, GuestState, into_http_error},
    engine::{PoolSlot, Slot},
};

/// Bytes that a guest hands over in one call, as the host holds them. Values of stores have a bound of their own.
pub(super) const HANDED_OVER_BYTES: usize = 1 << 20;

/// The beginning of an answer, as the guest gives it.
pub(super) type Head = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

/// A component instance with its store.
pub(super) struct Instance {
    store: Store<GuestState>,
    proxy: Proxy,
    served: u32,
    // After the store, so that the pools have the room before another may take it.
    _slot: PoolSlot,
    _kept: Option<Slot>,
}

impl Instance {
    /// Makes an instance where memory is kept for it, if that is worth it and there is room; else where little is kept.
    pub(super) async fn new(replica: &Replica, slot: PoolSlot, turn: Arc<Turn>) -> wasmtime::Result<Box<Self>> {
        if let Some((engine, pre, kept)) = replica.kept() {
            match Self::made_in(engine, pre, replica, turn.clone()).await {
                // Of guests with several memories fewer have room there than there are slots.
                Err(error) if error.is::<PoolConcurrencyLimitError>() => {}
                made => {
                    let (store, proxy) = made?;
                    return Ok(Box::new(Self { store, proxy, served: 0, _slot: slot, _kept: Some(kept) }));
                }
            }
        }
        let (store, proxy) = Self::made_in(&replica.host.engine.wasm, &replica.component.pre, replica, turn).await?;
        Ok(Box::new(Self { store, proxy, served: 0, _slot: slot, _kept: None }))
    }

    async fn made_in(
        engine: &wasmtime::Engine,
        pre: &ProxyPre<GuestState>,
        replica: &Replica,
        turn: Arc<Turn>,
    ) -> wasmtime::Result<(Store<GuestState>, Proxy)> {
        let memory = MemoryAccount::new(replica.memory.clone());
        let state = GuestState::new(replica.capabilities.clone(), memory, turn, replica.host.max_handles);
        let mut store = Store::new(engine, state);
        store.limiter_async(|state| &mut state.memory);
        store.set_hostcall_fuel(HANDED_OVER_BYTES);
        // Each may also be lent to a call, which counts as another one.
        store.set_max_component_handles(replica.host.max_handles.saturating_mul(2));
        store.epoch_deadline_callback(|context| context.data().turn.interrupted());
        store.set_epoch_deadline(FIRST_TICKS);
        let proxy = pre.instantiate_async(&mut store).await?;
        store.data_mut().memory.wait_from_now_on();
        Ok((store, proxy))
    }

    /// Bytes of its memories and tables.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.store.data().memory.held_bytes()
    }

    /// How many requests it has worked on.
    pub(super) fn served(&self) -> u32 {
        self.served
    }

    /// Works on one request. The head is sent as soon as the guest gives it.
    pub(super) async fn handle(
        &mut self,
        request: Request<Body>,
        turn: Arc<Turn>,
        head: oneshot::Sender<Head>,
    ) -> wasmtime::Result<()> {
        self.served += 1;
        let cause = Cause::of(request.headers());
        let scheme = scheme_of(&request);
        let reading = turn.clone();
        let request = request.map(|body| {
            body.map_err(move |error| {
                reading.break_request(&error);
                into_http_error(error)
            })
        });
        self.store.data_mut().begin(turn, cause);
        self.store.set_epoch_deadline(FIRST_TICKS);
        let mut http = self.store.data_mut().http();
        let request = http.new_incoming_request(scheme, request)?;
        let out = http.new_response_outparam(head)?;
        self.proxy.wasi_http_incoming_handler().call_handle(&mut self.store, request, out).await
    }
}

fn scheme_of(request: &Request<Body>) -> Scheme {
    match request.uri().scheme() {
        Some(scheme) if *scheme == http::uri::Scheme::HTTPS => Scheme::Https,
        _ => Scheme::Http,
    }
}
