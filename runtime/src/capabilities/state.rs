use std::sync::Arc;

use api::replica::LogSource;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::{
    Capabilities,
    outbound::{Cause, OutboundHooks},
    stdio::GuestOutput,
};
use crate::replica::{MemoryAccount, Turn};

/// Bytes of the headers of one message.
pub(super) const MAX_HEADER_BYTES: usize = 128 << 10;

/// The host's side of one instance.
pub(crate) struct GuestState {
    pub(super) capabilities: Arc<Capabilities>,
    pub(super) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub(super) outbound: OutboundHooks,
    /// What its memories and tables take of the replica's limit.
    pub(crate) memory: MemoryAccount,
    /// The request that it works on.
    pub(crate) turn: Arc<Turn>,
}

impl GuestState {
    pub(crate) fn new(
        capabilities: Arc<Capabilities>,
        memory: MemoryAccount,
        turn: Arc<Turn>,
        max_handles: usize,
    ) -> Self {
        let mut table = ResourceTable::new();
        // One that waits for a time has that beside it, and counts as two.
        table.set_max_capacity(max_handles);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_HEADER_BYTES);
        let wasi = WasiCtx::builder()
            .stdout(GuestOutput::new(capabilities.log.clone(), LogSource::Stdout))
            .stderr(GuestOutput::new(capabilities.log.clone(), LogSource::Stderr))
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        let outbound = OutboundHooks::new(capabilities.outbound.clone());
        Self { capabilities, table, wasi, http, outbound, memory, turn }
    }

    /// Makes the instance work on another request.
    pub(crate) fn begin(&mut self, turn: Arc<Turn>, cause: Cause) {
        self.turn = turn;
        self.outbound.cause = cause;
        self.memory.next_request(|| self.table.is_empty());
    }
}

// Each call of a function of wasmtime's own comes by one of these.
impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.turn.called();
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.turn.called();
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}
